"""From a BERT-shaped encoder to a Nyströmformer with its numbers."""

from __future__ import annotations

import os

from torch import nn
from transformers import AutoConfig, AutoModel, PreTrainedModel

from nysformer.errors import NysformerError
from nysformer.models.configuration import NystromformerConfig
from nysformer.models.encoder import NystromformerModel
from nysformer.models.inputs import FIRST_POSITION

__all__ = ["from_bert"]

_POSITIONS = "embeddings.position_embeddings.weight"


def from_bert(
    path_or_model: str | os.PathLike[str] | PreTrainedModel,
    *,
    max_position_embeddings: int | None = None,
    num_landmarks: int = 64,
    conv_kernel_size: int | None = None,
) -> NystromformerModel:
    """Turn a BERT-shaped encoder (BERT, MiniLM) into a Nyströmformer that reads longer documents.

    Documents the source could read keep the source's numbers: up to its own length attention is softmax
    (`softmax_max_length`), and the position table is the source's own, tiled beyond. A convolution starts at zero, so
    it changes nothing until it is trained. The pooler is dropped. The tokenizer is the source's: save it beside the
    result.

    Args:
        path_or_model: a folder or hub id, or a loaded BERT model with or without a head.
        max_position_embeddings: tokens a document may have; None for the source's own.
        num_landmarks: landmarks a head for longer documents.
        conv_kernel_size: odd; None for no convolution.

    Returns:
        The encoder, in the dtype of the source, in eval mode.

    Raises:
        NysformerError: a source that is not BERT-shaped, or fewer positions than it has.
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
        _check_source(source.config, name)
    else:
        name = os.fspath(path_or_model)
        _check_source(AutoConfig.from_pretrained(name), name)
        source = AutoModel.from_pretrained(name, add_pooling_layer=False)
    bert = source.config
    own_length = bert.max_position_embeddings
    if max_position_embeddings is not None and max_position_embeddings < own_length:
        raise NysformerError(
            f"{name} has {own_length} positions: max_position_embeddings {max_position_embeddings} would lose some"
        )
    config = NystromformerConfig(
        vocab_size=bert.vocab_size,
        hidden_size=bert.hidden_size,
        num_hidden_layers=bert.num_hidden_layers,
        num_attention_heads=bert.num_attention_heads,
        intermediate_size=bert.intermediate_size,
        hidden_act=bert.hidden_act,
        hidden_dropout_prob=bert.hidden_dropout_prob,
        attention_probs_dropout_prob=bert.attention_probs_dropout_prob,
        max_position_embeddings=own_length,
        type_vocab_size=bert.type_vocab_size,
        initializer_range=bert.initializer_range,
        layer_norm_eps=bert.layer_norm_eps,
        pad_token_id=bert.pad_token_id,
        bos_token_id=bert.bos_token_id,
        eos_token_id=bert.eos_token_id,
        num_landmarks=num_landmarks,
        conv_kernel_size=conv_kernel_size,
        attention_mode="auto",
        softmax_max_length=own_length,
    )
    model = NystromformerModel(config).to(source.dtype)
    weights = {key: value for key, value in source.state_dict().items() if not key.startswith("pooler.")}
    # Positions start two rows into our table; the rows before are no document's.
    table = weights[_POSITIONS]
    weights[_POSITIONS] = nn.functional.pad(table, (0, 0, FIRST_POSITION, 0))
    for key, value in model.state_dict().items():
        if key.endswith("attention.self.conv.weight"):
            weights[key] = value.new_zeros(value.shape)
    model.load_state_dict(weights)
    if max_position_embeddings is not None:
        model.extend_positions(max_position_embeddings)
    return model.eval()


def _check_source(config: object, name: str) -> None:
    kind = getattr(config, "model_type", None)
    if kind != "bert":
        raise NysformerError(f"{name} is a {kind!r} model: from_bert reads BERT-shaped encoders (model_type 'bert')")
    if getattr(config, "is_decoder", False) or getattr(config, "add_cross_attention", False):
        raise NysformerError(f"{name} is a decoder: from_bert reads encoders")
    if getattr(config, "position_embedding_type", "absolute") not in (None, "absolute"):
        raise NysformerError(f"{name} has relative positions: from_bert reads absolute ones")
