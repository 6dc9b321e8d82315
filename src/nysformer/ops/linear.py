"""The linear layer x W^T + b, forward and backward, with whichever float32 product is faster on this processor.

The product is PyTorch's own (MKL in most builds) or oneDNN's; `nysformer.ops.product_backend` says which.
Shapes: (..., I) in, (..., O) out, weight (O, I), T rows of all leading dimensions together.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from nysformer.ops.product import can_pack, onednn_linear, product_backend
from nysformer.ops.tracing import is_differentiated_forward, is_recorded

__all__ = ["activate", "linear"]

Activation = Callable[[Tensor], Tensor]

# Rows the gradient of a weight takes at a time: both operands are read across their rows, and these stay in cache.
_GRADIENT_ROWS = 1024

_RECIPE = "_nysformer_recipe"


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """`torch.nn.functional.linear`; for float32 on a CPU, by the faster of PyTorch's own product and oneDNN's.

    Everywhere else, and where a program is traced, exported, compiled, transformed, watched by a dispatch or function
    mode (a counter of FLOPs, for instance) or under autocast, it is that function. The same holds where somebody put a
    function of their own in its place, and with oneDNN switched off, `torch.backends.mkldnn.flags(enabled=False)`.

    Args:
        x: (..., I). Of what `activate` made, the backward pass keeps the recipe instead of the tensor.
        weight: (O, I).
        bias: (O,).

    Returns:
        (..., O).

    Example:
        >>> linear(torch.ones(2, 3), torch.ones(4, 3)).shape
        torch.Size([2, 4])
    """
    if not _by_onednn(x, weight, bias):
        return F.linear(x, weight, bias)
    if torch.is_grad_enabled() and any(t is not None and t.requires_grad for t in (x, weight, bias)):
        recipe: _Recipe | None = getattr(x, _RECIPE, None)
        if recipe is None or recipe.version != x._version:
            recipe = _Recipe(x, None, x._version)
        out: Tensor = _Linear.apply(x, weight, bias, recipe.source, recipe.activation)
        return out
    return _product(x, weight, bias)


def activate(x: Tensor, activation: Activation) -> Tensor:
    """activation(x), which `linear` makes again in its backward pass instead of keeping it.

    x is kept for the activation's own gradient anyway, so training holds one widened tensor a layer instead of two.

    Args:
        x: (..., I).
        activation: of each number by itself, the same at every call.
    """
    out = activation(x)
    if _by_onednn(out) and out.grad_fn is not None:
        setattr(out, _RECIPE, _Recipe(x, activation, out._version))
    return out


@dataclass(frozen=True, slots=True)
class _Recipe:
    """How a tensor was made, activation(source); true as long as the tensor is of that version."""

    source: Tensor
    activation: Activation | None
    version: int


class _Linear(torch.autograd.Function):
    """Saves `source`, of which the input is `activation(source)`, or the input itself where there is no activation."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, source: Tensor, activation: Activation | None
    ) -> Tensor:
        ctx.activation = activation
        ctx.save_for_backward(source, weight)
        return _product(x, weight, bias)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None, None, None]:
        (gradient,) = gradients
        source, weight = ctx.saved_tensors
        for_x, for_weight, for_bias = ctx.needs_input_grad[:3]
        # Plain products where a gradient of this gradient is wanted, or many gradients at once (is_grads_batched).
        if torch.is_grad_enabled() or not _by_onednn(gradient, source, weight):
            x = source if ctx.activation is None else ctx.activation(source)
            return (
                gradient @ weight if for_x else None,
                _rows(gradient).mT @ _rows(x) if for_weight else None,
                _rows(gradient).sum(0) if for_bias else None,
                None,
                None,
            )
        return (
            _product(gradient, weight.mT) if for_x else None,
            _weight_gradient(gradient, source, ctx.activation) if for_weight else None,
            _rows(gradient).sum(0) if for_bias else None,
            None,
            None,
        )


def _product(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    if product_backend() == "onednn":
        return onednn_linear(x, weight, bias)
    return F.linear(x, weight, bias)


def _weight_gradient(gradient: Tensor, source: Tensor, activation: Activation | None) -> Tensor:
    """G^T activation(source), (O, I), some rows at a time."""
    total = gradient.new_zeros(gradient.shape[-1], source.shape[-1])
    parts = (_rows(tensor).split(_GRADIENT_ROWS) for tensor in (gradient, source))
    onednn = product_backend() == "onednn"
    for part, x in zip(*parts, strict=True):
        activated = x if activation is None else activation(x)
        if onednn:
            total += onednn_linear(part.mT, activated.mT)
        else:
            total.addmm_(part.mT, activated)
    return total


def _rows(x: Tensor) -> Tensor:
    """(..., I) to (T, I)."""
    return x.reshape(-1, x.shape[-1])


def _by_onednn(*tensors: Tensor | None) -> bool:
    # Asked first: a compiler that follows this code knows none of what is asked below.
    if is_recorded():
        return False
    if not torch.backends.mkldnn.enabled or not can_pack(torch.float32):
        return False
    if (
        torch.is_autocast_enabled("cpu")
        or is_differentiated_forward()
        or torch._C._len_torch_dispatch_stack() > 0
        or torch._C._len_torch_function_stack() > 0
        or F.linear is not torch._C._nn.linear  # some tools put a function of their own there
    ):
        return False
    return all(
        tensor is None
        or (
            type(tensor) in (Tensor, torch.nn.Parameter)
            and tensor.is_cpu
            and tensor.dtype == torch.float32
            and tensor.layout == torch.strided
            and tensor.numel() > 0
        )
        for tensor in tensors
    )
