"""Dropout that keeps a byte a number for its backward pass. Shapes: any."""

import torch
from torch import Tensor, nn

__all__ = ["Dropout"]


class Dropout(nn.Dropout):
    """`torch.nn.Dropout` with a mask of booleans also on a CPU, where PyTorch's keeps one in the input's dtype.

    Example:
        >>> Dropout(0.5).eval()(torch.ones(3))
        tensor([1., 1., 1.])
    """

    def forward(self, input: Tensor) -> Tensor:
        if not self.training or self.p == 0.0 or self.inplace:
            return super().forward(input)
        return torch.native_dropout(input, self.p, True)[0]
