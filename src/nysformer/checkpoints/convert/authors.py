"""Checkpoints of the training code of Xiong et al.: a file of weights, without configuration or tokenizer."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import transformers
from safetensors.torch import load_file
from torch import Tensor
from transformers import PreTrainedModel

from nysformer.checkpoints.convert.conversion import UNREADABLE, Conversion, parts, refuse_pickle
from nysformer.checkpoints.convert.encoder import fill_model
from nysformer.checkpoints.convert.families import AUTHORS, to_ours
from nysformer.checkpoints.options import ConversionOptions
from nysformer.errors import NysformerError
from nysformer.models.configuration import NystromformerConfig
from nysformer.models.encoder import NystromformerModel
from nysformer.models.inputs import FIRST_POSITION
from nysformer.models.masked_lm import NystromformerForMaskedLM
from nysformer.models.pretrained import NystromformerPreTrainedModel
from nysformer.models.settings import one_line, read_json
from nysformer.ops import NystromSpec

__all__ = ["convert_authors"]

_WORDS, _POSITIONS = (f"embeddings.{name}_embeddings.weight" for name in ("word", "position"))
_DECODER = "cls.predictions.decoder.weight"
_QUERY = "encoder.layer.{}.attention.self.query.weight"


def convert_authors(path: Path, options: ConversionOptions) -> Conversion:
    """Convert a checkpoint file of the authors' training code; the pooler and other heads than masked LM are dropped.

    Args:
        path: the file, safetensors or pickled. A `config.json` of that code beside it tells what the weights do not.
        options: see there.

    Raises:
        NysformerError: as `convert_source`.
    """
    state = _read_file(path, options)
    if options.conv_kernel_size is not None:
        raise NysformerError(f"{path}: conv_kernel_size is given, but a Nyströmformer keeps its own; leave it out")
    weights, left = to_ours(state, AUTHORS)
    if _QUERY.format(0) not in weights or _WORDS not in weights or _POSITIONS not in weights:
        raise NysformerError(
            f"{path}: not a checkpoint of the authors' code (no model.transformer_0.mha.W_q.weight); give another"
        )
    odd = [key for key in left if key.startswith(("model.transformer_", "model.embeddings."))]
    if odd:
        raise NysformerError(f"{path}: the weight {odd[0]} has no place in a Nyströmformer; it cannot be converted")
    beside = _settings_beside(path)
    config = _authors_config(path, weights, beside, options)
    has_head = any(key.startswith("cls.") for key in weights)
    if has_head:
        weights.setdefault(_DECODER, weights[_WORDS])
        config.tie_word_embeddings = torch.equal(weights[_DECODER], weights[_WORDS])
    model = (NystromformerForMaskedLM if has_head else NystromformerModel)(config)
    fill_model(model, weights, AUTHORS, str(path))
    own_length = config.max_position_embeddings
    trained = _trained_with(beside, own_length)
    reference = _published(model, trained)
    if options.max_position_embeddings is not None:
        model.extend_positions(options.max_position_embeddings)
    return Conversion(
        kind=AUTHORS.kind,
        model=model.eval(),
        reference=reference.eval(),
        readable=own_length,
        reference_specs=(None if trained is None else NystromSpec(num_landmarks=trained[1]),)
        * config.num_hidden_layers,
        only_length=None if trained is None else trained[0],
        dropped=parts(left),
    )


def _authors_config(
    path: Path, weights: Mapping[str, Tensor], beside: Mapping[str, Any], options: ConversionOptions
) -> NystromformerConfig:
    """The configuration that the shapes tell, with the rest from the file beside the checkpoint."""
    vocab_size, hidden_size = weights[_WORDS].shape
    conv = weights.get("encoder.layer.0.attention.self.conv.weight")
    num_heads = options.num_attention_heads or beside.get("num_head") if conv is None else conv.shape[0]
    if not num_heads:
        raise NysformerError(
            f"{path}: without a convolution the weights do not say how many heads there are; give "
            "num_attention_heads=NUMBER"
        )
    if weights[_QUERY.format(0)].shape[0] != hidden_size:
        raise NysformerError(f"{path}: its heads together are not as wide as its layers; it cannot be converted")
    layers = 0
    while _QUERY.format(layers) in weights:
        layers += 1
    config = NystromformerConfig(
        vocab_size=vocab_size,
        hidden_size=hidden_size,
        num_hidden_layers=layers,
        num_attention_heads=num_heads,
        intermediate_size=weights["encoder.layer.0.intermediate.dense.weight"].shape[0],
        max_position_embeddings=len(weights[_POSITIONS]) - FIRST_POSITION,
        type_vocab_size=len(weights["embeddings.token_type_embeddings.weight"]),
        num_landmarks=options.num_landmarks or beside.get("num_landmarks") or 64,
        landmarks=options.landmarks or "segments",
        landmark_steps=options.landmark_steps or 2,
        conv_kernel_size=None if conv is None else conv.shape[2],
        attention_mode="auto",
        softmax_max_length=options.softmax_max_length or 0,
        layer_overrides=options.layer_overrides(layers) or None,
    )
    config.check()
    return config


def _trained_with(beside: Mapping[str, Any], own_length: int) -> tuple[int, int] | None:
    """Length and landmarks where the checkpoint was trained with approximated attention, as far as anyone says."""
    length, landmarks = beside.get("seq_len"), beside.get("num_landmarks")
    if not isinstance(length, int) or not isinstance(landmarks, int) or not landmarks < length <= own_length:
        return None
    return length, landmarks


def _published(model: NystromformerPreTrainedModel, trained: tuple[int, int] | None) -> PreTrainedModel:
    """transformers' own Nyströmformer with a model's weights, in the attention the checkpoint was trained with."""
    values = model.config.to_dict()
    length, landmarks = trained or (1, 1)  # equal numbers are its switch for softmax attention
    kernel = model.config.conv_kernel_size
    values |= {
        "num_landmarks": landmarks,
        "segment_means_seq_len": length,
        "conv_kernel_size": kernel or 1,
        "architectures": None,
    }
    config = transformers.NystromformerConfig.from_dict(values)
    theirs = getattr(transformers, type(model).__name__)(config)
    state = model.state_dict()
    if kernel is None:  # it has no form without convolution: one of zeros
        state |= {key: torch.zeros_like(value) for key, value in theirs.state_dict().items() if ".conv." in key}
    theirs.load_state_dict(state)
    return theirs


def _read_file(path: Path, options: ConversionOptions) -> dict[str, Tensor]:
    """The state dict in a checkpoint file, without what wrappers put around it."""
    try:
        if path.suffix == ".safetensors":
            content: Any = load_file(path)
        elif options.allow_pickle:
            content = torch.load(path, map_location="cpu", weights_only=True)
        else:
            refuse_pickle(path, str(path))
    except NysformerError:
        raise
    except UNREADABLE as error:
        raise NysformerError(f"{path}: cannot be read ({one_line(error)}); copy the checkpoint again") from error
    for wrapper in ("model_state_dict", "state_dict"):
        if isinstance(content, dict) and isinstance(content.get(wrapper), dict):
            content = content[wrapper]
    if not isinstance(content, dict) or not all(isinstance(value, Tensor) for value in content.values()):
        raise NysformerError(f"{path}: holds no weights by name; name a checkpoint file")
    return {key.removeprefix("module."): value for key, value in content.items()}


def _settings_beside(path: Path) -> dict[str, Any]:
    """What the authors' config.json in the checkpoint's folder says of the model; nothing where there is none."""
    file = path.with_name("config.json")
    if not file.is_file():
        return {}
    try:
        settings = read_json(file)
    except NysformerError as error:
        raise NysformerError(f"{file}: {error}; fix it or move it away") from error
    model = settings.get("model")
    return model if isinstance(model, dict) else {}
