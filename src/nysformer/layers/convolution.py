"""The weights of the depthwise convolution. Shapes: H heads, k kernel size."""

import math

import torch
from torch import Tensor, nn

__all__ = ["HeadKernels"]


class HeadKernels(nn.Module):
    """One kernel per head, `weight` (H, 1, k, 1), initialised as `torch.nn.Conv2d` does it.

    The attention convolves in a layout of its own, so this module gives the kernels instead of convolving. It is called
    for them, rather than asked for its weight: hooks that move or compute weights then run, and so does a trained copy
    that an adapter puts in its place. It is no `torch.nn.Conv2d`, so that no tool takes its output for a convolution's.

    Args:
        num_heads: H.
        kernel_size: k.

    Example:
        >>> HeadKernels(4, 5)(torch.ones(1)).shape
        torch.Size([4, 1, 5, 1])
    """

    def __init__(self, num_heads: int, kernel_size: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(num_heads, 1, kernel_size, 1))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the weights anew."""
        nn.init.kaiming_uniform_(self.weight, a=math.sqrt(5))

    def forward(self, values: Tensor) -> Tensor:
        """The kernels (H, 1, k, 1), in the dtype of the values they are to convolve."""
        return self.weight.to(values.dtype)

    def extra_repr(self) -> str:
        heads, _, size, _ = self.weight.shape
        return f"{heads} heads, kernel_size={size}"
