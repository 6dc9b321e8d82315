"""The linear layer of every block, as a module. Shapes: (..., in_features) in, (..., out_features) out."""

from torch import Tensor, nn

from nysformer.ops import linear

__all__ = ["Linear"]


class Linear(nn.Linear):
    """`torch.nn.Linear` whose products are `nysformer.ops.linear`'s: faster in float32 on most CPUs, else the same.

    Example:
        >>> import torch
        >>> Linear(3, 4)(torch.ones(2, 3)).shape
        torch.Size([2, 4])
    """

    def forward(self, input: Tensor) -> Tensor:
        return linear(input, self.weight, self.bias)
