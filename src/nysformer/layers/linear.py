"""Runs plain linear layers on the fast product. Shapes: (..., in_features) in, (..., out_features) out."""

import torch
from torch import Tensor, nn

from nysformer.layers.offsets import OffsetLinear
from nysformer.layers.watched import is_hooked
from nysformer.ops import linear

__all__ = ["is_plain_linear", "project"]

_FORWARD = nn.Linear.forward


def project(module: nn.Module, x: Tensor) -> Tensor:
    """module(x), by `nysformer.ops.linear` where the module is `torch.nn.Linear` itself and nothing watches its call.

    The linear layers of every model are plain `torch.nn.Linear`, which is what quantizers, adapters and pruning tools
    look for. A module in a layer's place, a hook, a parametrization or another forward is called as usual.

    Example:
        >>> import torch
        >>> project(nn.Linear(3, 4), torch.ones(2, 3)).shape
        torch.Size([2, 4])
    """
    if torch.compiler.is_compiling() or type(module) is not nn.Linear or is_hooked(module) or _is_replaced():
        output: Tensor = module(x)
        return output
    return linear(x, module.weight, module.bias)


def is_plain_linear(module: nn.Module) -> bool:
    """Whether the module is affine in its input: `torch.nn.Linear` itself, with plain tensors for its weights.

    An adapter need not be, nor is a layer that quantizes its input.
    """
    return (
        type(module) in (nn.Linear, OffsetLinear)
        and type(module.weight) in (Tensor, nn.Parameter)
        and not is_hooked(module)
        and not _is_replaced()
    )


def _is_replaced() -> bool:
    """Whether somebody wrote over the forward of all linear layers."""
    return nn.Linear.forward is not _FORWARD
