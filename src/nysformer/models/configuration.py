"""The configuration, and how the published softmax switch is read and written."""

import os
from typing import Any, Literal

from huggingface_hub.dataclasses import strict
from transformers import PreTrainedConfig
from transformers.activations import ACT2FN
from transformers.utils import logging

from nysformer.errors import NysformerError
from nysformer.ops import MAX_PINV_ITERATIONS

__all__ = ["AttentionMode", "NystromformerConfig"]

logger = logging.get_logger(__name__)

AttentionMode = Literal["auto", "nystrom", "softmax"]


@strict
class NystromformerConfig(PreTrainedConfig):
    """The settings of a Nyströmformer, in the layout of the published checkpoints.

    Args:
        vocab_size, hidden_size, num_hidden_layers, num_attention_heads, intermediate_size, hidden_act,
        hidden_dropout_prob, type_vocab_size, initializer_range, layer_norm_eps: as in BERT.
        attention_probs_dropout_prob: drops probabilities in softmax attention, a token's value in kernel 3 otherwise.
        max_position_embeddings: tokens a document may have; the table has two rows more.
        segment_means_seq_len: the published switch. Equal to `num_landmarks` it means softmax attention. None: the
            largest multiple of `num_landmarks` up to `max_position_embeddings`, never `num_landmarks` itself, so that
            a fresh configuration is linear.
        num_landmarks: landmarks a head.
        conv_kernel_size: odd; None for no convolution.
        inv_coeff_init_option: start the inverse at each head's own largest column sum.
        attention_mode: "auto" (softmax for documents of at most max(num_landmarks, softmax_max_length) tokens,
            landmarks beyond), "nystrom" (ignores softmax_max_length), "softmax" (always). None: what the published
            switch says when a model is built.
        softmax_max_length: for encoders trained with softmax attention: up to there they keep their numbers.
        pinv_iterations: steps of the iterative inverse, 1 to 12; more is not better, see `ops.iterative_pinv`.
        position_embedding_type: "absolute", or "none" for no positions at all.
        pruned_heads: {layer: [heads]} that are gone; kept by `prune_heads`.

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
    pinv_iterations: int = 6
    position_embedding_type: Literal["absolute", "none"] = "absolute"
    pruned_heads: dict[Any, list[int]] | None = None

    def __post_init__(self, **kwargs: Any) -> None:
        super().__post_init__(**kwargs)
        if self.pruned_heads is not None:  # JSON has string keys
            self.pruned_heads = {int(layer): sorted(heads) for layer, heads in self.pruned_heads.items()}

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

    def heads_left(self, layer: int) -> list[int]:
        """The heads of that layer that are not pruned, by their original numbers."""
        gone = (self.pruned_heads or {}).get(layer, [])
        return [head for head in range(self.num_attention_heads) if head not in gone]

    def check(self) -> None:
        """Refuse values no model can be built from, each with one line that names the mend.

        Raises:
            NysformerError: the first value that does not work.
        """
        if getattr(self, "is_decoder", False) or self.add_cross_attention:
            raise NysformerError(
                "is_decoder / add_cross_attention: a Nyströmformer has no causal form, its segment means see the "
                "future; set both to False"
            )
        if self.hidden_size % self.num_attention_heads != 0:
            raise NysformerError(
                f"hidden_size {self.hidden_size} is not a multiple of num_attention_heads {self.num_attention_heads}"
            )
        if self.num_landmarks < 1:
            raise NysformerError(f"num_landmarks is {self.num_landmarks}: at least 1 is needed")
        if self.conv_kernel_size is not None and (self.conv_kernel_size < 1 or self.conv_kernel_size % 2 == 0):
            raise NysformerError(f"conv_kernel_size is {self.conv_kernel_size}: it is odd, or None for no convolution")
        if not 1 <= self.pinv_iterations <= MAX_PINV_ITERATIONS:
            raise NysformerError(f"pinv_iterations is {self.pinv_iterations}: choose 1 to {MAX_PINV_ITERATIONS}")
        if self.softmax_max_length < 0:
            raise NysformerError(f"softmax_max_length is {self.softmax_max_length}: it is 0 or more tokens")
        if self.hidden_act not in ACT2FN:
            raise NysformerError(f"hidden_act {self.hidden_act!r} is not known: choose one of {', '.join(ACT2FN)}")
        for layer, heads in (self.pruned_heads or {}).items():
            if not 0 <= layer < self.num_hidden_layers or not set(heads) <= set(range(self.num_attention_heads)):
                raise NysformerError(f"pruned_heads names layer {layer}, heads {heads}, which this model does not have")
            if not self.heads_left(layer):
                raise NysformerError(f"pruned_heads leaves layer {layer} without a head: keep at least one")

    def to_dict(self) -> dict[str, Any]:
        """As saved: the published switch is written out, so that transformers reads the same mode."""
        values = super().to_dict()
        values["segment_means_seq_len"] = self.resolved_segment_means_seq_len
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
        features = {
            "conv_kernel_size=None (it refuses the folder)": self.conv_kernel_size is None,
            "pruned_heads": bool(self.pruned_heads),
            "inv_coeff_init_option=True": self.inv_coeff_init_option,
            f"pinv_iterations={self.pinv_iterations}": self.pinv_iterations != 6,
            "position_embedding_type='none'": self.position_embedding_type == "none",
            f"softmax_max_length={self.softmax_max_length}": (
                self.resolved_attention_mode == "auto" and self.softmax_max_length > 0
            ),
        }
        return [name for name, used in features.items() if used]
