"""Layers that add offsets of their own to another layer's weights: a variant that follows what the other learns.

Shapes: (..., E) hidden size E.
"""

from typing import TypeVar

import torch.nn.functional as F
from torch import Tensor, nn

from nysformer.layers.convolution import HeadKernels
from nysformer.ops import linear

__all__ = ["OffsetLinear", "OffsetNorm", "add_up", "offset_from"]

Layer = TypeVar("Layer", bound=nn.Module)


class OffsetLinear(nn.Linear):
    """x (W + w)^T + b + c: `weight` w and `bias` c are offsets to those of another linear layer, zero to begin with.

    The other layer is no submodule: its weights stand in a state dict once, under its own name.

    Args:
        base: the other layer, with a bias.

    Example:
        >>> import torch
        >>> base = nn.Linear(3, 4)
        >>> torch.equal(OffsetLinear(base)(torch.ones(2, 3)), base(torch.ones(2, 3)))
        True
    """

    def __init__(self, base: nn.Linear) -> None:
        super().__init__(base.in_features, base.out_features, device=base.weight.device, dtype=base.weight.dtype)
        self._base = (base,)

    def reset_parameters(self) -> None:
        """Set the offsets to zero."""
        nn.init.zeros_(self.weight)
        nn.init.zeros_(self.bias)

    def forward(self, x: Tensor) -> Tensor:
        return linear(x, *self.summed())

    def summed(self) -> tuple[Tensor, Tensor]:
        """The weight (O, I) and the bias (O,) that the layer multiplies with and adds."""
        (base,) = self._base
        return base.weight + self.weight, base.bias + self.bias


class OffsetNorm(nn.LayerNorm):
    """A LayerNorm whose `weight` and `bias` are offsets to those of another, zero to begin with.

    Args:
        base: the other one.
    """

    def __init__(self, base: nn.LayerNorm) -> None:
        shape = base.normalized_shape
        super().__init__(list(shape), eps=base.eps, device=base.weight.device, dtype=base.weight.dtype)
        self._base = (base,)

    def reset_parameters(self) -> None:
        """Set the offsets to zero."""
        nn.init.zeros_(self.weight)
        nn.init.zeros_(self.bias)

    def forward(self, x: Tensor) -> Tensor:
        return F.layer_norm(x, self.normalized_shape, *self.summed(), self.eps)

    def summed(self) -> tuple[Tensor, Tensor]:
        """The weight and the bias, each (E,), that the layer applies."""
        (base,) = self._base
        return base.weight + self.weight, base.bias + self.bias


class BorrowedKernels(nn.Module):
    """The convolution kernels of another attention, which keeps them.

    Args:
        base: its `HeadKernels`.
    """

    def __init__(self, base: HeadKernels) -> None:
        super().__init__()
        self._base = (base,)

    def forward(self, values: Tensor) -> Tensor:
        """The kernels (H, 1, k, 1), in the dtype of the values they are to convolve."""
        (base,) = self._base
        kernels: Tensor = base(values)
        return kernels


def offset_from(base: nn.Module, layer: Layer) -> Layer:
    """Turn a layer into a variant of another: its weights become offsets to the other's, zero to begin with.

    Args:
        base: the other layer; it is left as it is.
        layer: of the same shape, in the same place of the model; changed in place.

    Returns:
        `layer`.
    """
    for name, module in list(base.named_modules()):
        if type(module) is nn.Linear:
            layer.set_submodule(name, OffsetLinear(module))
        elif type(module) is nn.LayerNorm:
            layer.set_submodule(name, OffsetNorm(module))
        elif type(module) is HeadKernels:
            layer.set_submodule(name, BorrowedKernels(module))
    return layer


def add_up(layer: nn.Module) -> None:
    """Replace the offsets in a layer by plain layers with the sums, in place: it no longer follows the other."""
    for name, module in list(layer.named_modules()):
        if isinstance(module, OffsetLinear):
            plain: nn.Module = nn.Linear(module.in_features, module.out_features, device="meta")
        elif isinstance(module, OffsetNorm):
            plain = nn.LayerNorm(list(module.normalized_shape), eps=module.eps, device="meta")
        else:
            continue
        weight, bias = (nn.Parameter(each.detach(), requires_grad=False) for each in module.summed())
        plain.weight, plain.bias = weight, bias
        layer.set_submodule(name, plain.train(module.training))
