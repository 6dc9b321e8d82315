"""From another encoder to a Nyströmformer with its numbers."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn
from transformers import AutoConfig, AutoModel, PreTrainedModel

from nysformer.checkpoints.convert.families import FAMILIES, Family, to_ours, to_theirs
from nysformer.errors import NysformerError
from nysformer.models.configuration import NystromformerConfig
from nysformer.models.encoder import NystromformerModel
from nysformer.models.finite import check_finite
from nysformer.models.inputs import FIRST_POSITION
from nysformer.models.masked_lm import NystromformerForMaskedLM
from nysformer.ops import LandmarkKind

__all__ = ["convert_encoder", "family_of", "fill_model", "from_bert", "head_is_ours"]

_POSITIONS = "embeddings.position_embeddings.weight"
_TYPES = "embeddings.token_type_embeddings.weight"
_BIAS, _DECODER_BIAS = "cls.predictions.bias", "cls.predictions.decoder.bias"
_DECODER = "cls.predictions.decoder.weight"


def from_bert(
    path_or_model: str | os.PathLike[str] | PreTrainedModel,
    *,
    max_position_embeddings: int | None = None,
    num_landmarks: int = 64,
    landmarks: LandmarkKind = "clusters",
    landmark_steps: int = 2,
    conv_kernel_size: int | None = None,
    layer_overrides: Mapping[int, Mapping[str, Any]] | None = None,
) -> NystromformerModel:
    """Turn a BERT-shaped encoder (BERT, MiniLM) into a Nyströmformer that reads longer documents.

    Documents the source could read keep the source's numbers: up to its own length attention is softmax
    (`softmax_max_length`), and the position table is the source's own, tiled beyond. A convolution starts at zero, so
    it changes nothing until it is trained. The pooler is dropped. The tokenizer is the source's: save it beside the
    result. For other encoders, and for a masked-LM head, see `nysformer convert`.

    Args:
        path_or_model: a folder or hub id, or a loaded BERT model with or without a head.
        max_position_embeddings: tokens a document may have; None for the source's own.
        num_landmarks: landmarks a head for longer documents.
        landmarks, landmark_steps: how they are found, see `NystromformerConfig`; "clusters" stay nearer to the source.
        conv_kernel_size: odd; None for no convolution.
        layer_overrides: {layer: {name: value}}, see `NystromformerConfig`. `{0: {"softmax_max_length": 4096}}` leaves
            the first layer exact for documents of up to so many tokens, at quadratic cost up to there.

    Returns:
        The encoder, in the dtype of the source, in eval mode.

    Raises:
        NysformerError: a source that is not BERT-shaped, weights that are not finite, or fewer positions than it has.
        OSError: no such folder or id.

    Example:
        >>> from transformers import BertConfig, BertModel
        >>> source = BertModel(BertConfig(vocab_size=50, hidden_size=32, num_hidden_layers=1, num_attention_heads=2,
        ...                               intermediate_size=64, max_position_embeddings=40))
        >>> from_bert(source, max_position_embeddings=100, num_landmarks=8).config.softmax_max_length
        40
    """
    if isinstance(path_or_model, PreTrainedModel):
        source, name = path_or_model.base_model, type(path_or_model).__name__
        _check_bert(source.config, name)
    else:
        name = os.fspath(path_or_model)
        _check_bert(AutoConfig.from_pretrained(name), name)
        source = AutoModel.from_pretrained(name, add_pooling_layer=False)
    model = convert_encoder(
        source,
        name,
        max_position_embeddings=max_position_embeddings,
        num_landmarks=num_landmarks,
        landmarks=landmarks,
        landmark_steps=landmark_steps,
        conv_kernel_size=conv_kernel_size,
        layer_overrides=layer_overrides,
    )
    assert isinstance(model, NystromformerModel)
    return model


def convert_encoder(
    source: PreTrainedModel,
    name: str,
    *,
    max_position_embeddings: int | None = None,
    num_landmarks: int = 64,
    landmarks: LandmarkKind = "clusters",
    landmark_steps: int = 2,
    conv_kernel_size: int | None = None,
    softmax_max_length: int | None = None,
    layer_overrides: Mapping[int, Mapping[str, Any]] | None = None,
) -> NystromformerModel | NystromformerForMaskedLM:
    """Turn a loaded encoder of a known family, with or without a masked-LM head, into a Nyströmformer.

    Args:
        source: as transformers loads it; it is left as it is.
        name: what an error calls it.
        max_position_embeddings: tokens a document may have; None for the source's own.
        num_landmarks: landmarks a head for longer documents.
        landmarks, landmark_steps: how they are found, see `NystromformerConfig`; "clusters" stay nearer to the source.
        conv_kernel_size: odd; None for no convolution. It starts at zero.
        softmax_max_length: up to how many tokens a document keeps the source's numbers; None for all it could read.
        layer_overrides: see `NystromformerConfig`.

    Returns:
        The encoder, with the head if the source has one whose numbers ours gives, in the dtype of the source, in eval
        mode.

    Raises:
        NysformerError: a source that cannot be converted, or fewer positions than it has.
    """
    family = family_of(source.config, name)
    first = family.first_position(source.config)
    own_length = source.config.max_position_embeddings - first
    if max_position_embeddings is not None and max_position_embeddings < own_length:
        raise NysformerError(
            f"{name} has {own_length} positions: max_position_embeddings {max_position_embeddings} would lose some"
        )
    config = NystromformerConfig(
        **family.their_settings(source.config),
        max_position_embeddings=own_length,
        num_landmarks=num_landmarks,
        landmarks=landmarks,
        landmark_steps=landmark_steps,
        conv_kernel_size=conv_kernel_size,
        attention_mode="auto",
        softmax_max_length=own_length if softmax_max_length is None else softmax_max_length,
        layer_overrides={layer: dict(values) for layer, values in (layer_overrides or {}).items()} or None,
    )
    weights, _ = to_ours(source.state_dict(), family)
    has_head = _DECODER in weights and head_is_ours(source.config, family)
    model = (NystromformerForMaskedLM if has_head else NystromformerModel)(config).to(source.dtype)
    # Positions start two rows into our table; the rows before are no document's.
    weights[_POSITIONS] = nn.functional.pad(weights[_POSITIONS][first:], (0, 0, FIRST_POSITION, 0))
    if _TYPES not in weights:
        weights[_TYPES] = weights[_POSITIONS].new_zeros(config.type_vocab_size, config.hidden_size)
    fill_model(model, weights, family, name)
    if max_position_embeddings is not None:
        model.extend_positions(max_position_embeddings)
    return model.eval()


def fill_model(
    model: NystromformerModel | NystromformerForMaskedLM, weights: dict[str, Tensor], family: Family, name: str
) -> None:
    """Load renamed weights, the backbone's without prefix; a convolution the source has none of becomes zero.

    Raises:
        NysformerError: a weight that is missing, of another shape or not finite, by its name in the source.
    """
    if _BIAS in weights or _DECODER_BIAS in weights:  # one parameter, which a file may hold under either name
        weights[_BIAS] = weights[_DECODER_BIAS] = weights[_DECODER_BIAS if _DECODER_BIAS in weights else _BIAS]
    state = {}
    for key, value in model.state_dict().items():
        plain = key.removeprefix(f"{model.base_model_prefix}.")
        if plain not in weights and plain.endswith("attention.self.conv.weight"):
            state[key] = value.new_zeros(value.shape)
            continue
        theirs = to_theirs(plain, family) or plain
        if plain not in weights:
            raise NysformerError(f"{name}: the weight {theirs} is missing; copy the checkpoint again")
        if weights[plain].shape != value.shape:
            raise NysformerError(
                f"{name}: the weight {theirs} has shape {tuple(weights[plain].shape)}, the configuration says "
                f"{tuple(value.shape)}; copy the checkpoint and its configuration again"
            )
        check_finite([(theirs, weights[plain])], name)
        state[key] = weights[plain]
    model.load_state_dict(state)


def family_of(config: Any, name: str) -> Family:
    """The family of an encoder, by its configuration.

    Raises:
        NysformerError: a kind of model, or a form of one, that ours cannot give the numbers of.
    """
    kind = getattr(config, "model_type", None)
    if kind not in FAMILIES:
        known = ", ".join(sorted(FAMILIES))
        raise NysformerError(f"{name} is a {kind!r} model: only {known} and nystromformer can be converted")
    if getattr(config, "is_decoder", False) or getattr(config, "add_cross_attention", False):
        raise NysformerError(f"{name} is a decoder: only encoders can be converted")
    if getattr(config, "position_embedding_type", "absolute") not in (None, "absolute"):
        raise NysformerError(f"{name} has relative positions: only encoders with absolute ones can be converted")
    embedding_size = getattr(config, "embedding_size", config.hidden_size)
    if embedding_size != config.hidden_size:
        raise NysformerError(
            f"{name} projects embeddings of {embedding_size} to {config.hidden_size} after normalising them, which a "
            "Nyströmformer does not: take an ELECTRA whose embedding_size is its hidden_size"
        )
    return FAMILIES[kind]


def head_is_ours(config: Any, family: Family) -> bool:
    """Whether our masked-LM head gives its head's numbers: ours has the activation of the layers."""
    act = family.their_settings(config)["hidden_act"]
    return family.head_act is None or act == family.head_act


def _check_bert(config: object, name: str) -> None:
    kind = getattr(config, "model_type", None)
    if kind != "bert":
        raise NysformerError(f"{name} is a {kind!r} model: from_bert reads BERT-shaped encoders (model_type 'bert')")
