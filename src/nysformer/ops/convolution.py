"""The depthwise convolution over a document. Shapes: B batch, H heads, N length, D head width, k kernel size."""

import torch
import torch.nn.functional as F
from torch import Tensor

from nysformer.ops.blocks import convolve, runs_in_blocks

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
        >>> value = torch.tensor([1.0, 2.0, 3.0]).reshape(1, 1, 3, 1)
        >>> depthwise_convolution(value, torch.ones(1, 1, 3, 1)).flatten()
        tensor([3., 6., 5.])
    """
    batch, heads, length, width = value.shape
    kernel_size = weight.shape[2]
    if weight.shape != (heads, 1, kernel_size, 1) or kernel_size % 2 == 0:
        raise ValueError(f"conv_weight is (heads, 1, k, 1) with {heads} heads and k odd; got {tuple(weight.shape)}")
    if value.dtype == torch.float16 and value.device.type == "cpu":
        # No kernel of that dtype there: the fallback takes a hundred times as long, and sums in half precision.
        with torch.autocast("cpu", enabled=False):
            return depthwise_convolution(value.float(), weight.float()).to(value.dtype)
    if runs_in_blocks(value) and length > 0 and batch > 0:
        return convolve(value, weight.to(value.dtype))
    # One channel a head and width, the sequence as image height, channels last: a view of packed rows in and out, and
    # two to five times the speed of H channels on an (N, D) image. That form's weight gradient is also wrong on a CPU,
    # without a word, from 41 taps on where a document is no shorter than the kernel (torch 2.13.0, oneDNN with AVX2).
    channels = value.transpose(1, 2).reshape(batch, length, 1, heads * width).permute(0, 3, 1, 2)
    kernels = weight.expand(heads, width, kernel_size, 1).reshape(heads * width, 1, kernel_size, 1)
    convolved = F.conv2d(channels, kernels, padding=(kernel_size // 2, 0), groups=heads * width)
    return convolved.permute(0, 2, 3, 1).reshape(batch, length, heads, width).transpose(1, 2)
