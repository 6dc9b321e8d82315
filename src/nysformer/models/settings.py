"""What may stand in a configuration: each field's range, checked before anything is built from it."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from transformers.activations import ACT2FN

from nysformer.errors import NysformerError
from nysformer.models.labels import MAX_LABELS, check_labels
from nysformer.ops import LANDMARK_KINDS, MAX_LANDMARK_STEPS, MAX_PINV_ITERATIONS

if TYPE_CHECKING:
    from nysformer.models.configuration import NystromformerConfig

__all__ = ["OVERRIDABLE", "check_file_values", "check_values", "one_line", "read_json"]

# A configuration is a few kilobytes; one with a million labels has some tens of megabytes.
MAX_BYTES = 256 * 2**20
_MOST = 2**31 - 1
# Smallest and largest value.
_COUNTS: dict[str, tuple[int, int]] = {
    "vocab_size": (1, _MOST),
    "hidden_size": (1, _MOST),
    "num_hidden_layers": (1, 1_000),
    "num_attention_heads": (1, _MOST),
    "intermediate_size": (1, _MOST),
    "max_position_embeddings": (1, _MOST),
    "type_vocab_size": (1, _MOST),
    "num_landmarks": (1, _MOST),
    "segment_means_seq_len": (1, _MOST),
    "softmax_max_length": (0, _MOST),
    "chunk_size_feed_forward": (0, _MOST),
    "landmark_steps": (1, MAX_LANDMARK_STEPS),
    "pinv_iterations": (1, MAX_PINV_ITERATIONS),
}
# What a layer may have otherwise than the model, in `layer_overrides`.
OVERRIDABLE = ("num_landmarks", "landmarks", "landmark_steps", "softmax_max_length", "pinv_iterations")
_MAY_BE_NONE = {"segment_means_seq_len"}
_SHARES = ("hidden_dropout_prob", "attention_probs_dropout_prob")
_PROBLEMS = ("regression", "single_label_classification", "multi_label_classification")
# Of a file; null there means what the model class does by itself.
_OUTPUT_FLAGS = ("return_dict", "output_hidden_states", "output_attentions")
_FLAGS = ("inv_coeff_init_option", "tie_word_embeddings", "add_cross_attention", "long_layers")


def read_json(path: str | os.PathLike[str]) -> dict[str, Any]:
    """The object in a JSON file.

    Raises:
        NysformerError: no regular file, or one that is not a JSON object, is far too large, or names a key twice. The
            message does not name the path.
    """
    path = Path(path)
    if not path.exists():
        raise NysformerError("there is no such file")
    if not path.is_file():
        raise NysformerError("it is not a file")
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise NysformerError(f"it has {size:,} bytes, far more than any configuration")
        content = json.loads(path.read_bytes(), object_pairs_hook=_once_each)
    except NysformerError:
        raise
    except RecursionError as error:
        raise NysformerError("not valid JSON: it is nested too deeply") from error
    except (OSError, ValueError) as error:
        raise NysformerError(f"not valid JSON: {one_line(error)}") from error
    if not isinstance(content, dict):
        raise NysformerError("not a JSON object in braces")
    return content


def _once_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise NysformerError(f"the key {twice!r} stands in it twice: keep one of them")
    return found


def check_file_values(values: Mapping[str, Any], kind: type) -> None:
    """Refuse, among the values of a file, those that cannot even be read into a configuration of that class.

    Raises:
        NysformerError: the first of them.
    """
    for key in values:
        if not key.isidentifier() or callable(getattr(kind, key, None)):
            raise NysformerError(f"{key!r} cannot be the name of a setting: remove it")
    number = values.get("num_labels")
    if number is not None and (type(number) is not int or not 1 <= number <= MAX_LABELS):
        raise NysformerError(f"num_labels is {_short(number)}: it is a whole number of labels, at least 1")
    if values.get("id2label") is not None:
        check_labels(values["id2label"])
        if number is not None and number != len(values["id2label"]):
            raise NysformerError(
                f"num_labels is {number}, and id2label names {len(values['id2label'])} labels: remove num_labels or "
                "correct it"
            )
    for name in _OUTPUT_FLAGS:
        if values.get(name) not in (None, True, False) or type(values.get(name)) in (int, float):
            raise NysformerError(f"{name} is {_short(values[name])}: choose true or false")
    for name in ("dtype", "torch_dtype"):
        _check_dtype(name, values.get(name))
    heads = values.get("pruned_heads")
    if heads is not None and not (
        isinstance(heads, Mapping)
        and all(str(layer).isdecimal() for layer in heads)
        and all(isinstance(each, list) and all(type(head) is int for head in each) for each in heads.values())
    ):
        raise NysformerError(f'pruned_heads is {_short(heads)}: it maps layers to heads, such as {{"0": [1, 3]}}')
    layers = values.get("layer_overrides")
    if layers is not None and not (
        isinstance(layers, Mapping)
        and all(str(layer).isdecimal() for layer in layers)
        and all(isinstance(each, Mapping) for each in layers.values())
    ):
        raise NysformerError(
            f"layer_overrides is {_short(layers)}: it maps layers to settings, such as "
            '{"0": {"num_landmarks": 128}}'
        )


def check_values(config: NystromformerConfig) -> None:
    """Refuse values no model can be built from.

    Raises:
        NysformerError: the first value that does not work.
    """
    if config.model_type != type(config).model_type:
        raise NysformerError(f"model_type is {_short(config.model_type)}, not {type(config).model_type!r}")
    if getattr(config, "is_decoder", False) or config.add_cross_attention:
        raise NysformerError(
            "is_decoder / add_cross_attention: a Nyströmformer has no causal form, its segment means see the "
            "future; set both to False"
        )
    for name, (low, _) in _COUNTS.items():
        value = getattr(config, name, low)
        if value is None and name in _MAY_BE_NONE:
            continue
        _check_count(name, value, name)
    _check_landmarks(config.landmarks, "landmarks")
    _check_overrides(config)
    for name in _SHARES:
        share = getattr(config, name)
        if not _is_number(share) or not 0 <= share <= 1:
            raise NysformerError(f"{name} is {_short(share)}: choose a number from 0 to 1")
    if not _is_number(config.layer_norm_eps) or config.layer_norm_eps <= 0:
        raise NysformerError(
            f"layer_norm_eps is {_short(config.layer_norm_eps)}: choose a number above 0, such as 1e-5"
        )
    if not _is_number(config.initializer_range) or config.initializer_range < 0:
        raise NysformerError(f"initializer_range is {_short(config.initializer_range)}: choose a number of at least 0")
    for name in _FLAGS:
        if not isinstance(getattr(config, name), bool):
            raise NysformerError(f"{name} is {_short(getattr(config, name))}: choose true or false")
    kernel = config.conv_kernel_size
    if kernel is not None and (type(kernel) is not int or not 1 <= kernel <= _MOST or kernel % 2 == 0):
        raise NysformerError(f"conv_kernel_size is {_short(kernel)}: choose an odd number, or null for no convolution")
    if config.hidden_size % config.num_attention_heads != 0:
        raise NysformerError(
            f"hidden_size {config.hidden_size} is not a multiple of num_attention_heads {config.num_attention_heads}"
        )
    pad = config.pad_token_id
    if pad is not None and (type(pad) is not int or not 0 <= pad < config.vocab_size):
        raise NysformerError(
            f"pad_token_id is {_short(pad)}: choose a token from 0 to {config.vocab_size - 1} (vocab_size - 1), or null"
        )
    if not isinstance(config.hidden_act, str) or config.hidden_act not in ACT2FN:
        raise NysformerError(
            f"hidden_act {_short(config.hidden_act)} is not known: choose one of transformers' activations, such as "
            "gelu, gelu_new, relu or silu"
        )
    if config.problem_type not in (None, *_PROBLEMS):
        raise NysformerError(f"problem_type is {_short(config.problem_type)}: choose {', '.join(_PROBLEMS)}, or null")
    _check_dtype("dtype", config.dtype)
    architectures = config.architectures
    if architectures is not None and not (
        isinstance(architectures, list) and all(isinstance(name, str) for name in architectures)
    ):
        raise NysformerError(
            f"architectures is {_short(architectures)}: it is a list of class names, such as "
            '["NystromformerForSequenceClassification"]'
        )
    check_labels(config.id2label)
    for layer, heads in (config.pruned_heads or {}).items():
        if not 0 <= layer < config.num_hidden_layers or not set(heads) <= set(range(config.num_attention_heads)):
            raise NysformerError(f"pruned_heads names layer {layer}, heads {heads}, which this model does not have")
        if not config.heads_left(layer):
            raise NysformerError(f"pruned_heads leaves layer {layer} without a head: keep at least one")


def _check_overrides(config: NystromformerConfig) -> None:
    for layer, values in (config.layer_overrides or {}).items():
        if not 0 <= layer < config.num_hidden_layers:
            raise NysformerError(
                f"layer_overrides names layer {layer}: this model has layers 0 to {config.num_hidden_layers - 1}"
            )
        for name, value in values.items():
            place = f"layer_overrides, layer {layer}: {name}"
            if name not in OVERRIDABLE:
                raise NysformerError(
                    f"layer_overrides, layer {layer}: {_short(name)} cannot differ by layer: choose among "
                    f"{', '.join(OVERRIDABLE)}"
                )
            if name == "landmarks":
                _check_landmarks(value, place)
            else:
                _check_count(name, value, place)


def _check_count(name: str, value: Any, place: str) -> None:
    low, high = _COUNTS[name]
    if type(value) is not int or not low <= value <= high:
        raise NysformerError(f"{place} is {_short(value)}: choose a whole number from {low} to {high:,}")


def _check_landmarks(value: Any, place: str) -> None:
    if value not in LANDMARK_KINDS:
        raise NysformerError(f"{place} is {_short(value)}: choose {' or '.join(LANDMARK_KINDS)}")


def _check_dtype(name: str, value: Any) -> None:
    dtype = getattr(torch, value.removeprefix("torch."), None) if isinstance(value, str) else value
    if dtype is None and not isinstance(value, str):
        return
    if not isinstance(dtype, torch.dtype) or not dtype.is_floating_point:
        raise NysformerError(f"{name} is {_short(value)}: choose float32, bfloat16 or float16")


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value)


def _short(value: Any) -> str:
    try:
        text = repr(value)
    except (RecursionError, ValueError):  # a number of thousands of digits
        text = f"a {type(value).__name__}"
    return text if len(text) <= 60 else f"{text[:57]}..."


def one_line(error: BaseException, most: int = 200) -> str:
    """What an error of another library says, without line breaks, cut to so many characters."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= most else f"{text[: most - 3]}..."
