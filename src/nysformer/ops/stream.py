"""Landmark attention over one document that is projected as it is read, for inference on a CPU.

Of a long document only the values are kept whole: the convolution reads a token's neighbours. Queries and keys live for
one block of rows. Shapes: N tokens, E hidden size, H heads, D head width, M landmarks.
"""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from nysformer.ops.blocks import BLOCK_ROWS, band, convolve_padded, padding
from nysformer.ops.landmark_state import LandmarkState
from nysformer.ops.landmarks import segment_means
from nysformer.ops.spec import NystromSpec

__all__ = ["nystrom_stream"]


def nystrom_stream(
    hidden: Tensor,
    project_query: Callable[[Tensor], Tensor],
    project_key_value: Callable[[Tensor], tuple[Tensor, Tensor]],
    spec: NystromSpec,
    *,
    conv_weight: Tensor | None = None,
) -> Iterator[Tensor]:
    """`nystrom_attention` of one document, its context a block of rows after the other.

    The landmarks are projections of the means of `hidden`, which are the means of the projections where those are
    linear, as they have to be.

    Args:
        hidden: (N, E), N above M; `softmax_max_length` is not looked at.
        project_query: (R, E) to (R, H, D), linear in its rows.
        project_key_value: (R, E) to the keys and the values, the same.
        spec: of the attention; its landmarks are segments. Clusters read queries and keys several times: there is
            nothing to gain from projecting them as they are read.
        conv_weight: as in `nystrom_attention`.

    Yields:
        (R, H, D), N rows in all, in order. Without gradients only.

    Example:
        >>> hidden = torch.randn(3000, 16)
        >>> def heads(x):
        ...     return x.unflatten(-1, (2, 8))
        >>> with torch.no_grad():
        ...     blocks = list(
        ...         nystrom_stream(hidden, heads, lambda x: (heads(x), heads(x)), NystromSpec(num_landmarks=8))
        ...     )
        >>> torch.cat(blocks).shape
        torch.Size([3000, 2, 8])
    """
    assert spec.landmarks == "segments"
    length = len(hidden)
    means = segment_means(hidden[None, None], spec.num_landmarks)[0, 0]
    query_landmarks, (key_landmarks, some_values) = project_query(means), project_key_value(means)
    heads, width = some_values.shape[1:]
    state = LandmarkState(_heads_first(query_landmarks), _heads_first(key_landmarks), spec)
    half = 0 if conv_weight is None else conv_weight.shape[2] // 2
    padded = hidden.new_empty(half + length + half + padding(length), heads, width)
    padded[:half] = 0
    padded[half + length :] = 0
    places = padded[half : half + length].split(BLOCK_ROWS)
    for rows, place in zip(hidden.split(BLOCK_ROWS), places, strict=True):
        key, value = project_key_value(rows)
        place.copy_(value)
        state.add(_heads_first(key), _heads_first(value))
    state.solve()
    banded = None if conv_weight is None else band(conv_weight)
    for start, rows in zip(range(0, length, BLOCK_ROWS), hidden.split(BLOCK_ROWS), strict=True):
        context = _heads_last(state.read(_heads_first(project_query(rows))))
        if banded is not None:
            window = padded[start : start + half + len(rows) + half + padding(len(rows))]
            convolved = _heads_last(convolve_padded(_heads_first(window), banded, len(rows)))
            # In the order of the rows to come, in one pass.
            context = torch.add(
                context, convolved, out=torch.empty_like(context, memory_format=torch.contiguous_format)
            )
        yield context


def _heads_first(rows: Tensor) -> Tensor:
    """(R, H, D) to (1, H, R, D)."""
    return rows.transpose(0, 1)[None]


def _heads_last(rows: Tensor) -> Tensor:
    """(1, H, R, D) to (R, H, D)."""
    return rows[0].transpose(0, 1)
