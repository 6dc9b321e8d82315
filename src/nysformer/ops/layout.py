"""Where the documents of a batch lie when their real tokens stand end to end.

Shapes: B batch, N padded length, T packed tokens (the real ones of all documents), K documents.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from itertools import accumulate, groupby, pairwise

import torch
from torch import Tensor

from nysformer.ops.tracing import is_transformed

__all__ = ["Layout", "as_layout"]


class Layout:
    """A packed batch: the lengths of its documents, and the way back to the padded shape.

    Packed rows of one document are consecutive and in order. The documents themselves may stand in another order than
    in the batch: `from_mask` sorts them by length, so that documents of one length are neighbours and go through
    attention together.

    Args:
        lengths: K lengths, in packed order; a length of 0 is a document without a token. None: the whole of `shape`.
        shape: (B, N) of the padded form, where there is one.
        index: (T,) int64, the flat position b * N + n in the padded form that each packed row comes from; None where
            the packed rows are the padded form itself, read row by row.

    Example:
        >>> mask = torch.tensor([[1, 1, 0], [1, 1, 1]])
        >>> layout = Layout.from_mask(mask)
        >>> layout.lengths
        (2, 3)
        >>> x = torch.arange(6.0).reshape(2, 3)
        >>> layout.pack(x)
        tensor([0., 1., 3., 4., 5.])
        >>> layout.unpack(layout.pack(x))
        tensor([[0., 1., 0.],
                [3., 4., 5.]])
    """

    def __init__(
        self, lengths: Sequence[int] | None, *, shape: tuple[int, int] | None = None, index: Tensor | None = None
    ) -> None:
        self._lengths = None if lengths is None else tuple(lengths)
        self.shape = shape
        self.index = index

    @classmethod
    def from_mask(cls, mask: Tensor) -> Layout:
        """The layout of a (B, N) mask, True where a token is real. Holes are allowed: those tokens do not exist."""
        batch, length = mask.shape
        mask = mask.bool()
        counts = mask.sum(dim=1)
        if int(counts.sum()) == batch * length:
            return cls.dense(batch, length)
        order = counts.argsort(stable=True)
        document, position = mask[order].nonzero(as_tuple=True)
        return cls(counts[order].tolist(), shape=(batch, length), index=order[document] * length + position)

    @classmethod
    def dense(cls, batch: int, length: int) -> Layout:
        """The layout of a (B, N) batch without padding."""
        return cls(None, shape=(batch, length))

    @cached_property
    def lengths(self) -> tuple[int, ...]:
        """K lengths, in packed order. Made on demand: a traced program may not list the documents of a batch."""
        if self._lengths is not None:
            return self._lengths
        batch, length = self.padded_shape
        return (length,) * batch

    @property
    def num_tokens(self) -> int:
        """T, the number of packed rows."""
        return sum(self.lengths)

    @cached_property
    def offsets(self) -> tuple[int, ...]:
        """K + 1 bounds: document i is rows offsets[i] .. offsets[i + 1] - 1."""
        return (0, *accumulate(self.lengths))

    def groups(self, keys: Layout | None = None) -> list[tuple[int, int, int]]:
        """Runs of neighbouring documents with equal lengths, as (documents, query length, key length).

        Args:
            keys: the layout of the keys where it is another than that of the queries (cross-attention).
        """
        key_lengths = self.lengths if keys is None else keys.lengths
        pairs = zip(self.lengths, key_lengths, strict=True)
        return [(len(list(run)), *pair) for pair, run in groupby(pairs)]

    def blocks(self, rows: int) -> list[tuple[int, ...]]:
        """The lengths in runs of neighbouring documents: as many as fit that many rows, or one longer one by itself."""
        runs: list[tuple[int, ...]] = []
        room = 0
        for length in self.lengths:
            if runs and length <= room:
                runs[-1] = (*runs[-1], length)
            else:
                runs.append((length,))
                room = rows
            room -= length
        return runs

    def pack(self, padded: Tensor) -> Tensor:
        """(B, N, ...) to (T, ...): the real tokens only. What stands elsewhere is not read."""
        flat = padded.flatten(0, 1)
        return flat if self.index is None else flat.index_select(0, self.index)

    def unpack(self, packed: Tensor, fill: float = 0.0) -> Tensor:
        """(T, ...) to (B, N, ...), with `fill` where there is no token."""
        batch, length = self.padded_shape
        if self.index is not None:
            filled = packed.new_full((batch * length, *packed.shape[1:]), fill)
            # In place, since `index_copy` first copies all of `filled`; but vmap has a rule for that one alone.
            write = filled.index_copy if is_transformed() else filled.index_copy_
            packed = write(0, self.index, packed)
        return packed.unflatten(0, (batch, length))

    @property
    def padded_shape(self) -> tuple[int, int]:
        """(B, N) of the padded form.

        Raises:
            ValueError: the layout was made from bounds alone.
        """
        if self.shape is None:
            raise ValueError("this layout was made from offsets and has no padded form")
        return self.shape

    def padded_positions(self, device: torch.device) -> Tensor:
        """(T,) int64: the place in its padded row, 0 .. N - 1, of every packed token. Holes are counted."""
        batch, length = self.padded_shape
        if self.index is None:
            return torch.arange(length, device=device).repeat(batch)
        return self.index % length

    def places(self, device: torch.device) -> list[tuple[Tensor, Tensor]]:
        """For each packed document its row b of the padded form, (), and its tokens' columns there, (length,)."""
        batch, length = self.padded_shape
        index = torch.arange(batch * length, device=device) if self.index is None else self.index
        return [((rows[:1] // length).sum(), rows % length) for rows in index.split(self.lengths)]


def as_layout(offsets: Layout | Sequence[int] | Tensor) -> Layout:
    """A layout from K + 1 rising bounds that start at 0, as variable-length kernels take them.

    Raises:
        ValueError: the bounds do not start at 0, fall, or are fewer than two.

    Example:
        >>> as_layout([0, 2, 5]).lengths
        (2, 3)
    """
    if isinstance(offsets, Layout):
        return offsets
    bounds = offsets.tolist() if isinstance(offsets, Tensor) else list(offsets)
    lengths = [end - start for start, end in pairwise(bounds)]
    if len(bounds) < 2 or bounds[0] != 0 or min(lengths) < 0:
        raise ValueError(f"offsets must start at 0 and never fall, one more than there are documents; got {bounds}")
    return Layout(lengths)
