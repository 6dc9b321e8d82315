"""Without gradients on a CPU: plain products over blocks of rows that stay in the cache, and the convolution so.

Two things make that the fast form. SDPA's CPU kernel gains nothing from half precision, products do. And memory that
was just freed comes back from the allocator at once, where a fresh tensor of a long document's size costs as much to
touch as to multiply. Shapes: B documents, H heads, N rows, D head width, M landmarks, k kernel size.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from nysformer.ops.tracing import is_differentiated_forward, is_recorded

__all__ = [
    "BLOCK_ROWS",
    "band",
    "convolve",
    "convolve_padded",
    "padding",
    "runs_in_blocks",
]

# Rows a block has: a block's widened rows and its scores fit the cache, and products of so many rows run at full speed.
BLOCK_ROWS = 1024

# Rows of a document the banded matrix of a convolution makes at a time.
_BAND_ROWS = 64


def runs_in_blocks(x: Tensor) -> bool:
    """Whether this is the form to run: on a CPU, in float32 or bfloat16, without gradients, and not while recorded."""
    return (
        not is_recorded()
        and not torch.is_grad_enabled()
        and not is_differentiated_forward()
        and x.is_cpu
        and x.dtype in (torch.float32, torch.bfloat16)
        and not torch.is_autocast_enabled("cpu")
    )


def band(weight: Tensor) -> Tensor:
    """The kernels (H, 1, k, 1) as banded matrices, (H, R, R + k - 1): what R rows are of the R + k - 1 around them."""
    heads, _, size, _ = weight.shape
    rows = weight.new_zeros(heads, _BAND_ROWS, _BAND_ROWS + size)
    rows[:, :, :size] = weight.view(heads, 1, size)
    # Read with rows one shorter, every row starts one place further right than the one above it.
    return rows.flatten(1)[:, : _BAND_ROWS * (_BAND_ROWS + size - 1)].unflatten(1, (_BAND_ROWS, -1))


def padding(length: int) -> int:
    """Blank rows that `convolve_padded` needs past those of the convolution, for that many rows of output."""
    return -length % _BAND_ROWS


def convolve_padded(padded: Tensor, banded: Tensor, length: int) -> Tensor:
    """The convolution of a block by products with `band`.

    Args:
        padded: (B, H, k // 2 + length + k // 2 + padding(length), D): the block, its neighbours or zeros on both
            sides, and anything finite in the last rows.
        banded: of `band`.
        length: rows of the block.

    Returns:
        (B, H, length, D).
    """
    strips = padded.unfold(2, banded.shape[-1], _BAND_ROWS).transpose(-1, -2)
    return (banded[:, None] @ strips).flatten(2, 3)[:, :, :length]


def convolve(value: Tensor, weight: Tensor) -> Tensor:
    """`depthwise_convolution` of whole documents, (B, H, N, D), a block of rows at a time."""
    length, half = value.shape[2], weight.shape[2] // 2
    padded = F.pad(value, (0, 0, half, half + padding(length)))
    banded = band(weight)
    out = torch.empty_like(value)
    for start in range(0, length, BLOCK_ROWS):
        rows = min(BLOCK_ROWS, length - start)
        window = padded[:, :, start : start + 2 * half + rows + padding(rows)]
        out[:, :, start : start + rows] = convolve_padded(window, banded, rows)
    return out
