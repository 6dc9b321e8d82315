"""How a model without convolution is saved so that transformers reads it, and how it is read back.

transformers' Nyströmformer always has a convolution, and its configuration, which its `AutoTokenizer` reads too,
refuses a kernel size of null. So the file says kernel size 1, holds a kernel of zeros per layer, which adds nothing,
and carries `zero_convolution: true`. Our classes take the zeros out again. Kernels that are no longer zero, because
transformers has trained them, stay.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedConfig

__all__ = ["MARK", "drop_zero_convolution", "expects_zeros", "with_zeros", "without_zeros"]

MARK = "zero_convolution"
_CONV, _VALUE = "attention.self.conv.weight", "attention.self.value.weight"
_LONG = "encoder.long_layer."  # these have no kernels of their own


def expects_zeros(config: PreTrainedConfig) -> bool:
    """Whether a configuration was read from a file that holds kernels of zeros."""
    return bool(getattr(config, MARK, False)) and getattr(config, "conv_kernel_size", 1) is None


def with_zeros(state: Mapping[str, Tensor], head_size: int) -> dict[str, Tensor]:
    """A state dict of a model without convolution, with a kernel of zeros (heads, 1, 1, 1) for each layer in it."""
    zeros = {
        key.removesuffix(_VALUE) + _CONV: torch.zeros(len(value) // head_size, 1, 1, 1, dtype=value.dtype)
        for key, value in state.items()
        if key.endswith(_VALUE) and _LONG not in key
    }
    return {**state, **zeros}


def without_zeros(state: Mapping[str, Any]) -> dict[str, Any]:
    """A state dict without its kernels of zeros."""
    return {key: value for key, value in state.items() if not (key.endswith(_CONV) and _is_zero(value))}


def drop_zero_convolution(layers: Iterable[Any], *, absent: bool) -> bool:
    """Take the convolution out of all layers if it is the kernels of zeros, or if the file had none; whether it was."""
    layers = list(layers)
    kernels = [layer.attention.self.conv.weight for layer in layers]
    if not absent and not all(_is_zero(kernel) for kernel in kernels):
        return False
    for layer in layers:
        layer.attention.self.conv = None
    return True


def _is_zero(kernel: Any) -> bool:
    return isinstance(kernel, Tensor) and kernel.shape[1:] == (1, 1, 1) and not bool(kernel.any())
