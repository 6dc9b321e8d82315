"""Landmark attention over one document that is projected as it is read, for inference on a CPU.

Of a long document only the values are kept whole: the convolution reads a token's neighbours. Queries and keys live for
one block of rows; where landmarks are clusters they are kept too, since every step reads them again. Shapes: N tokens,
E hidden size, H heads, D head width, M landmarks, R rows of a block.
"""

from collections.abc import Callable, Iterable, Iterator

import torch
from torch import Tensor

from nysformer.ops.blocks import BLOCK_ROWS, band, convolve_padded, padding
from nysformer.ops.clusters import cluster_pieces
from nysformer.ops.landmark_state import LandmarkState
from nysformer.ops.landmarks import segment_means
from nysformer.ops.spec import NystromSpec

__all__ = ["nystrom_stream", "pays_to_stream"]

# Clusters hold queries and keys in either form. Up to here the whole document at once is faster, by 3 %; beyond, blocks
# are as fast and take half the memory.
_CLUSTER_ROWS = 8 * BLOCK_ROWS


def pays_to_stream(spec: NystromSpec, tokens: int) -> bool:
    """Whether a document of so many tokens is better projected as it is read than whole.

    Example:
        >>> pays_to_stream(NystromSpec(num_landmarks=64), 4096)
        True
        >>> pays_to_stream(NystromSpec(num_landmarks=64, landmarks="clusters"), 4096)
        False
    """
    return tokens > (BLOCK_ROWS if spec.landmarks == "segments" else _CLUSTER_ROWS) and not spec.is_exact(tokens)


def nystrom_stream(
    hidden: Tensor,
    project_query: Callable[[Tensor], Tensor],
    project_key_value: Callable[[Tensor], tuple[Tensor, Tensor]],
    spec: NystromSpec,
    *,
    conv_weight: Tensor | None = None,
) -> Iterator[Tensor]:
    """`nystrom_attention` of one document, its context a block of rows after the other.

    Segment means are projections of the means of `hidden`, which are the means of the projections where those are
    linear, as they have to be.

    Args:
        hidden: (N, E), N above M; `softmax_max_length` is not looked at.
        project_query: (R, E) to (R, H, D), linear in its rows.
        project_key_value: (R, E) to the keys and the values, the same.
        spec: of the attention.
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
    length = len(hidden)
    blocks = hidden.split(BLOCK_ROWS)
    queries: Iterable[Tensor]
    keys_and_values: Iterable[tuple[Tensor, Tensor]]
    if spec.landmarks == "segments":
        means = segment_means(hidden[None, None], spec.num_landmarks)[0, 0]
        query_landmarks, key_landmarks = _heads_first(project_query(means)), _heads_first(project_key_value(means)[0])
        queries, keys_and_values = map(project_query, blocks), map(project_key_value, blocks)
    else:
        queries, keys_and_values = list(map(project_query, blocks)), list(map(project_key_value, blocks))
        query_landmarks, key_landmarks = (
            cluster_pieces([_heads_first(piece) for piece in pieces], length, spec.num_landmarks, spec.landmark_steps)
            for pieces in (queries, [key for key, _ in keys_and_values])
        )
    _, heads, _, width = query_landmarks.shape
    state = LandmarkState(query_landmarks, key_landmarks, spec)
    half = 0 if conv_weight is None else conv_weight.shape[2] // 2
    padded = hidden.new_empty(half + length + half + padding(length), heads, width)
    padded[:half] = 0
    padded[half + length :] = 0
    for place, (key, value) in zip(padded[half : half + length].split(BLOCK_ROWS), keys_and_values, strict=True):
        place.copy_(value)
        state.add(_heads_first(key), _heads_first(value))
    del keys_and_values
    state.solve()
    banded = None if conv_weight is None else band(conv_weight)
    for start, query in zip(range(0, length, BLOCK_ROWS), queries, strict=True):
        context = _heads_last(state.read(_heads_first(query)))
        if banded is not None:
            window = padded[start : start + half + len(query) + half + padding(len(query))]
            convolved = _heads_last(convolve_padded(_heads_first(window), banded, len(query)))
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
