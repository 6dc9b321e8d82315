"""A model folder's configuration, read and checked in one place for every command, before anything is loaded."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from transformers.utils import logging

from nysformer.errors import NysformerError
from nysformer.models.configuration import NystromformerConfig, unusable
from nysformer.models.no_convolution import MARK
from nysformer.models.pretrained import NystromformerPreTrainedModel

__all__ = ["check_shapes", "read_config", "stored_shapes"]

logger = logging.get_logger(__name__)

# The part of a weight's name, and the settings that its shape follows.
_SETTINGS = (
    ("word_embeddings", "vocab_size and hidden_size"),
    ("position_embeddings", "max_position_embeddings and hidden_size"),
    ("token_type_embeddings", "type_vocab_size and hidden_size"),
    ("attention.self.conv", "conv_kernel_size and num_attention_heads"),
    ("intermediate.dense", "intermediate_size and hidden_size"),
    ("output.dense", "intermediate_size and hidden_size"),
    ("", "hidden_size"),
)


def read_config(source: str | os.PathLike[str], **overrides: Any) -> NystromformerConfig:
    """The configuration of a model folder, or of a model on the hub, every value of it checked.

    Args:
        source: a folder or a name on the hub.
        overrides: settings that take the place of the file's.

    Raises:
        NysformerError: there is none, or a value in it is of the wrong type or out of its range, by its name.
    """
    try:
        config = NystromformerConfig.from_pretrained(source, **overrides)
    except OSError as error:
        raise unusable(source, error) from error
    assert isinstance(config, NystromformerConfig)
    try:
        config.check()
        if getattr(config, "quantization_config", None) is not None:
            raise NysformerError("it has a quantization_config, and only plain weights are read: save them dequantized")
    except NysformerError as error:
        raise unusable(source, error) from error
    if getattr(config, "auto_map", None) is not None:
        logger.warning_once(f"{source}: auto_map in its config.json names code, which is not run")
    return config


def stored_shapes(folder: str | os.PathLike[str]) -> dict[str, tuple[int, ...]]:
    """Names and shapes of the weights in a folder's safetensors files, from their headers; empty for any other weights.

    Raises:
        NysformerError: a file that cannot be read, by its name.
    """
    shapes: dict[str, tuple[int, ...]] = {}
    for path in sorted(Path(folder).glob("*.safetensors")):
        try:
            with safe_open(path, framework="pt") as file:
                for key in file.keys():  # noqa: SIM118  # it is no dictionary
                    shapes[key] = tuple(file.get_slice(key).get_shape())
        except (OSError, SafetensorError) as error:
            raise NysformerError(f"{path}: cannot be read ({error}); copy or train the model again") from error
    return shapes


def check_shapes(
    source: str | os.PathLike[str],
    config: NystromformerConfig,
    kind: type[NystromformerPreTrainedModel],
    shapes: Mapping[str, tuple[int, ...]],
) -> None:
    """Compare the backbone that a configuration describes with the weights in the file, without making either.

    Args:
        source: what an error names.
        config: checked.
        kind: the model's class.
        shapes: of `stored_shapes`; empty for unknown, which is not compared.

    Raises:
        NysformerError: a model that cannot be built from the configuration; another number of layers; a weight of
            another shape, with the settings that it follows.
    """
    try:
        with torch.device("meta"):
            model = kind(config)
    except NysformerError:
        raise
    except Exception as error:  # a setting nobody thought of
        raise unusable(source, error) from error
    described = {_plain(key): tuple(value.shape) for key, value in model.base_model.state_dict().items()}
    found = {_plain(key): shape for key, shape in shapes.items() if _is_body(key)}
    if not found:
        return
    wrong = f"{source}: its weights do not match its config.json"
    layers = 1 + max((int(key.split(".")[2]) for key in found if key.startswith("encoder.layer.")), default=-1)
    said = f"num_hidden_layers is {config.num_hidden_layers}, and {layers} layers are stored; correct it"
    if layers < config.num_hidden_layers:
        raise NysformerError(f"{wrong}: the weight encoder.layer.{layers}.output.dense.weight is missing: {said}")
    if layers > config.num_hidden_layers:
        raise NysformerError(f"{wrong}: {said}")
    for key, shape in described.items():
        if (
            key in found
            and found[key] != shape
            and not (key.endswith("attention.self.conv.weight") and _has_mark(config))
        ):
            settings = next(settings for mark, settings in _SETTINGS if mark in key)
            raise NysformerError(
                f"{wrong}: {key} is {found[key]} in the file and {shape} by the configuration; correct {settings}"
            )


def _has_mark(config: NystromformerConfig) -> bool:
    return bool(getattr(config, MARK, False))


def _is_body(key: str) -> bool:
    return _plain(key).startswith(("embeddings.", "encoder.layer.", "encoder.long_layer."))


def _plain(key: str) -> str:
    return key.removeprefix("nystromformer.")
