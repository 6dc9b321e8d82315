"""The configuration, and how the published softmax switch is read and written."""

import os
from pathlib import Path
from typing import Any, Literal

from huggingface_hub.dataclasses import strict
from transformers import PreTrainedConfig
from transformers.utils import logging

from nysformer.errors import NysformerError
from nysformer.models.labels import inverse_labels
from nysformer.models.no_convolution import MARK
from nysformer.models.settings import OVERRIDABLE, check_file_values, check_values, one_line, read_json
from nysformer.ops import NystromSpec

__all__ = ["AttentionMode", "NystromformerConfig", "unusable"]

logger = logging.get_logger(__name__)

AttentionMode = Literal["auto", "nystrom", "softmax"]


@strict
class NystromformerConfig(PreTrainedConfig):
    """The settings of a Nyströmformer, in the layout of the published checkpoints.

    One of these is [uw-madison/nystromformer-512](https://huggingface.co/uw-madison/nystromformer-512). After
    `register`, transformers writes the documentation of its own classes from this link.

    Args:
        vocab_size, hidden_size, num_hidden_layers, num_attention_heads, intermediate_size, hidden_act,
        hidden_dropout_prob, type_vocab_size, initializer_range, layer_norm_eps: as in BERT.
        attention_probs_dropout_prob: drops probabilities in softmax attention, a token's value in kernel 3 otherwise.
        max_position_embeddings: tokens a document may have; the table has two rows more.
        segment_means_seq_len: the published switch. Equal to `num_landmarks` it means softmax attention. None: the
            largest multiple of `num_landmarks` up to `max_position_embeddings`, never `num_landmarks` itself, so that
            a fresh configuration is linear.
        num_landmarks: landmarks a head.
        landmarks: "segments" for the means of consecutive segments, as published; "clusters" for centres of clusters of
            the queries and of the keys, which approximate better and cost little more, see `ops.nystrom_attention`.
        landmark_steps: k-means steps that find the clusters, 1 to 16.
        conv_kernel_size: odd; None for no convolution.
        inv_coeff_init_option: start the inverse at each head's own largest column sum.
        attention_mode: "auto" (softmax for documents of at most max(num_landmarks, softmax_max_length) tokens,
            landmarks beyond), "nystrom" (ignores softmax_max_length), "softmax" (always). None: what the published
            switch says when a model is built.
        softmax_max_length: for encoders trained with softmax attention: up to there they keep their numbers.
        long_layers: documents beyond `exact_length` have layers of their own, stored as offsets to the others';
            `nysformer distill` trains them.
        pinv_iterations: steps of the iterative inverse, 1 to 12; more is not better, see `ops.iterative_pinv`.
        position_embedding_type: "absolute", or "none" for no positions at all.
        classifier_pooling: what sequence classification and multiple choice read: "first" (the first token, as
            published), "mean" (of all tokens), "attention" (a mean with learned weights).
        classifier_layers: which states sequence classification pools: "last" (the last layer's, as published) or
            "first+last" (the embeddings' too, side by side).
        classifier_scaling: sequence classification standardises what it pools, by means and spreads over documents
            that `finetune` measures with `probe_first`.
        pruned_heads: {layer: [heads]} that are gone; kept by `prune_heads`.
        layer_overrides: {layer: {name: value}}, in which that layer differs: num_landmarks, landmarks, landmark_steps,
            softmax_max_length, pinv_iterations.

    Example:
        >>> config = NystromformerConfig(num_landmarks=32)
        >>> config.resolved_attention_mode, config.resolved_segment_means_seq_len
        ('auto', 480)
        >>> NystromformerConfig(num_landmarks=64, segment_means_seq_len=64).resolved_attention_mode
        'softmax'
    """

    model_type = "nystromformer"

    vocab_size: int = 30000
    hidden_size: int = 768
    num_hidden_layers: int = 12
    num_attention_heads: int = 12
    intermediate_size: int = 3072
    hidden_act: str = "gelu_new"
    hidden_dropout_prob: float | int = 0.1
    attention_probs_dropout_prob: float | int = 0.1
    max_position_embeddings: int = 510
    type_vocab_size: int = 2
    segment_means_seq_len: int | None = None
    num_landmarks: int = 64
    conv_kernel_size: int | None = 65
    inv_coeff_init_option: bool = False
    initializer_range: float = 0.02
    layer_norm_eps: float = 1e-5
    pad_token_id: int | None = 1
    bos_token_id: int | None = 0
    eos_token_id: int | list[int] | None = 2
    add_cross_attention: bool = False
    tie_word_embeddings: bool = True
    attention_mode: Literal["auto", "nystrom", "softmax"] | None = None
    softmax_max_length: int = 0
    long_layers: bool = False
    landmarks: Literal["segments", "clusters"] = "segments"
    landmark_steps: int = 2
    pinv_iterations: int = 6
    position_embedding_type: Literal["absolute", "none"] = "absolute"
    classifier_pooling: Literal["first", "mean", "attention"] = "first"
    classifier_layers: Literal["last", "first+last"] = "last"
    classifier_scaling: bool = False
    pruned_heads: dict[Any, list[int]] | None = None
    layer_overrides: dict[Any, dict[str, Any]] | None = None

    def __post_init__(self, **kwargs: Any) -> None:
        super().__post_init__(**kwargs)
        if self.pruned_heads is not None:  # JSON has string keys
            self.pruned_heads = {int(layer): sorted(heads) for layer, heads in self.pruned_heads.items()}
        if self.layer_overrides is not None:
            self.layer_overrides = {int(layer): dict(values) for layer, values in self.layer_overrides.items()}
        if getattr(self, MARK, False) is True and self.conv_kernel_size == 1:
            self.conv_kernel_size = None
        self._settle_labels()

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: str | os.PathLike[str], *args: Any, **kwargs: Any) -> Any:
        """Read a folder's configuration, or one on the hub, as transformers does.

        Raises:
            NysformerError: its file is not JSON, or has values of the wrong type.
            OSError: no such folder, file or name.
        """
        file = Path(pretrained_model_name_or_path) / "config.json"
        try:
            if file.exists() and not file.is_file():  # a folder, say, which transformers takes for no file at all
                raise NysformerError("it is not a file")
            return super().from_pretrained(pretrained_model_name_or_path, *args, **kwargs)
        except NysformerError as error:
            raise unusable(pretrained_model_name_or_path, error) from error

    @classmethod
    def from_dict(cls, config_dict: dict[str, Any], **kwargs: Any) -> Any:
        """A configuration from the values of a file, and others that take the place of some.

        Raises:
            NysformerError: a value of the wrong type.
        """
        values = dict(config_dict)
        if "num_labels" in kwargs or "id2label" in kwargs:  # the file's own labels go
            for name in ("num_labels", "id2label", "label2id"):
                values.pop(name, None)
        inverse = inverse_labels(values.get("label2id"))
        if inverse is None:
            values.pop("label2id", None)
        elif values.get("id2label") is None:
            values["id2label"] = inverse
        check_file_values(values, cls)
        try:
            made = super().from_dict(values, **kwargs)
        except NysformerError:
            raise
        except Exception as error:  # strict fields, setters and converters each raise their own
            raise NysformerError(one_line(error)) from error
        (made[0] if isinstance(made, tuple) else made)._settle_labels()
        return made

    @classmethod
    def _dict_from_json_file(cls, json_file: str | os.PathLike[str]) -> dict[str, Any]:
        return cls._decode_special_floats(read_json(json_file))

    def _settle_labels(self) -> None:
        """`id2label` decides: `label2id` is made from it."""
        labels: Any = getattr(self, "id2label", None)
        if isinstance(labels, dict) and all(isinstance(name, str) for name in labels.values()):
            if all(str(key).isdecimal() for key in labels):  # JSON has text
                labels = {int(key): name for key, name in labels.items()}
            inverse = {name: number for number, name in labels.items()}
            given: Any = getattr(self, "label2id", None)
            if given is not None and inverse.keys() == given.keys() and inverse != given:
                logger.warning_once("label2id numbers the labels otherwise than id2label does: id2label is used")
            self.id2label = labels
            self.label2id = inverse

    @property
    def output_attentions(self) -> bool | None:
        """Whether models return attention maps. With either implementation of the attention, unlike other models."""
        return self._output_attentions

    @output_attentions.setter
    def output_attentions(self, value: bool | None) -> None:
        self._output_attentions = value

    def validate_output_attentions(self) -> None:
        """Overrides transformers' check that maps are asked of "eager" models only."""

    @property
    def resolved_attention_mode(self) -> AttentionMode:
        """The mode a model built from the present values runs in."""
        if self.attention_mode is not None:
            return self.attention_mode
        return "softmax" if self.segment_means_seq_len == self.num_landmarks else "auto"

    @property
    def resolved_segment_means_seq_len(self) -> int:
        """The value of the published switch that says `resolved_attention_mode` to every reader of a saved folder."""
        if self.resolved_attention_mode == "softmax":
            return self.num_landmarks
        if self.segment_means_seq_len not in (None, self.num_landmarks):
            return self.segment_means_seq_len
        return max(2, self.max_position_embeddings // self.num_landmarks) * self.num_landmarks

    def nystrom_spec(self, layer: int = 0) -> NystromSpec | None:
        """How that layer of a model built from the present values attends; None for softmax at every length.

        Example:
            >>> config = NystromformerConfig(attention_mode="auto", layer_overrides={1: {"num_landmarks": 128}})
            >>> [config.nystrom_spec(layer).num_landmarks for layer in range(3)]
            [64, 128, 64]
        """
        mode = self.resolved_attention_mode
        if mode == "softmax":
            return None
        values = {name: getattr(self, name) for name in OVERRIDABLE} | (self.layer_overrides or {}).get(layer, {})
        if mode == "nystrom":
            values["softmax_max_length"] = 0
        return NystromSpec(per_head_start=self.inv_coeff_init_option, **values)

    @property
    def exact_length(self) -> int | None:
        """Tokens up to which every layer runs softmax attention; None for any number."""
        specs = (self.nystrom_spec(layer) for layer in range(self.num_hidden_layers))
        return min((spec.exact_length for spec in specs if spec is not None), default=None)

    def heads_left(self, layer: int) -> list[int]:
        """The heads of that layer that are not pruned, by their original numbers."""
        gone = (self.pruned_heads or {}).get(layer, [])
        return [head for head in range(self.num_attention_heads) if head not in gone]

    def check(self) -> None:
        """Refuse values no model can be built from; building or loading a model does so first.

        Raises:
            NysformerError: the first value that does not work, by its name, and what would.
        """
        check_values(self)

    def to_dict(self) -> dict[str, Any]:
        """As saved: the published switch, and what stands for no convolution, are written out for transformers."""
        values = super().to_dict()
        values["segment_means_seq_len"] = self.resolved_segment_means_seq_len
        values.pop(MARK, None)
        if self.conv_kernel_size is None:
            values |= {"conv_kernel_size": 1, MARK: True}
        return values

    def save_pretrained(self, save_directory: str | os.PathLike[str], push_to_hub: bool = False, **kwargs: Any) -> None:
        """Write config.json; say once what transformers' own Nyströmformer could not honour in it."""
        lost = self._unknown_to_transformers()
        if lost:
            logger.warning_once(
                f"transformers' own Nyströmformer does not honour: {'; '.join(lost)}. Load this folder with nysformer."
            )
        super().save_pretrained(save_directory, push_to_hub=push_to_hub, **kwargs)

    def _unknown_to_transformers(self) -> list[str]:
        mode = self.resolved_attention_mode
        features = {
            "conv_kernel_size=None (written as a kernel of zeros)": self.conv_kernel_size is None,
            "long_layers=True": self.long_layers,
            "pruned_heads": bool(self.pruned_heads),
            "inv_coeff_init_option=True": self.inv_coeff_init_option,
            f"pinv_iterations={self.pinv_iterations}": self.pinv_iterations != 6,
            "position_embedding_type='none'": self.position_embedding_type == "none",
            f"classifier_pooling={self.classifier_pooling!r}": self.classifier_pooling != "first",
            f"classifier_layers={self.classifier_layers!r}": self.classifier_layers != "last",
            "classifier_scaling=True": self.classifier_scaling,
            f"softmax_max_length={self.softmax_max_length}": mode == "auto" and self.softmax_max_length > 0,
            f"landmarks='clusters' with landmark_steps={self.landmark_steps}": (
                mode != "softmax" and self.landmarks == "clusters"
            ),
            "layer_overrides": mode != "softmax" and any((self.layer_overrides or {}).values()),
        }
        return [name for name, used in features.items() if used]


def unusable(source: str | os.PathLike[str], error: Exception) -> NysformerError:
    """The error of a model whose config.json has that fault."""
    return NysformerError(f"{os.fspath(source)}: its config.json is not usable: {one_line(error, 300)}")
