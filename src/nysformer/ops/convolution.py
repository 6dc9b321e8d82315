"""The depthwise convolution over a document. Shapes: B batch, H heads, N length, D head width, k kernel size."""

import torch.nn.functional as F
from torch import Tensor

__all__ = ["depthwise_convolution"]


def depthwise_convolution(value: Tensor, weight: Tensor) -> Tensor:
    """Convolve each head's values over the sequence, one kernel a head shared by its D channels.

    Args:
        value: (B, H, N, D), each of the B documents by itself: both ends are zero-padded by k // 2.
        weight: (H, 1, k, 1), k odd.

    Returns:
        (B, H, N, D).

    Raises:
        ValueError: an even kernel, or one for another number of heads.

    Example:
        >>> import torch
        >>> value = torch.tensor([1.0, 2.0, 3.0]).reshape(1, 1, 3, 1)
        >>> depthwise_convolution(value, torch.ones(1, 1, 3, 1)).flatten()
        tensor([3., 6., 5.])
    """
    heads, kernel_size = value.shape[1], weight.shape[2]
    if weight.shape != (heads, 1, kernel_size, 1) or kernel_size % 2 == 0:
        raise ValueError(f"conv_weight is (heads, 1, k, 1) with {heads} heads and k odd; got {tuple(weight.shape)}")
    return F.conv2d(value, weight, padding=(kernel_size // 2, 0), groups=heads)
