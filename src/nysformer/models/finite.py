"""Weights that hold NaN or infinity are refused wherever they come in: they would answer, and wrongly."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from nysformer.errors import NysformerError

__all__ = ["check_finite", "check_finite_model"]


def check_finite(tensors: Iterable[tuple[str, Tensor]], source: str) -> None:
    """Refuse tensors that hold NaN or infinity; one pass over each, without a copy.

    Args:
        tensors: names and tensors, of any shape; those that are not floating or hold no data are passed over.
        source: what the error calls their origin.

    Raises:
        NysformerError: the first of them, by its name.
    """
    for name, tensor in tensors:
        if not tensor.is_floating_point() or tensor.is_meta or tensor.numel() == 0:
            continue
        low, high = torch.aminmax(tensor.detach())  # NaN where there is one
        if bool(low.isfinite() & high.isfinite()):
            continue
        what = "NaN" if bool(low.isnan()) else "infinity"
        fix = "copy or train the model again"
        if what == "infinity" and tensor.dtype in (torch.float16, torch.bfloat16):
            fix = "load it in a wider dtype (float32), or copy or train the model again"
        dtype = str(tensor.dtype).removeprefix("torch.")
        raise NysformerError(f"{source}: the weight {name} is not finite, it holds {what} in {dtype}; {fix}")


def check_finite_model(model: nn.Module, source: str) -> None:
    """As `check_finite`, for every parameter and buffer of a model."""
    check_finite(model.named_parameters(), source)
    check_finite(model.named_buffers(), source)
