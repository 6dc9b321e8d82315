"""Landmarks: the means of consecutive, nearly equal segments of a document.

Shapes: B batch, H heads, N length, M landmarks, D head width, R rows of a piece.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from nysformer.ops.blocks import BLOCK_ROWS
from nysformer.ops.tracing import is_recorded

__all__ = ["LandmarkSums", "segment_means", "segment_starts"]


@dataclass(frozen=True)
class LandmarkSums:
    """The tokens behind each landmark, summed and counted: what pieces of a document, wherever they lie, add up to.

    Attributes:
        sums: (B, H, M, D), float32 at least.
        counts: integers, broadcast to (B, H, M, 1).

    Example:
        >>> x = torch.tensor([1.0, 2.0, 3.0, 4.0, 5.0]).reshape(1, 1, 5, 1)
        >>> pieces = [LandmarkSums.of_segments(x[:, :, rows], 2, rows.start, 5) for rows in (slice(0, 3), slice(3, 5))]
        >>> pieces[0].merge(pieces[1]).means().flatten()
        tensor([1.5000, 4.0000])
    """

    sums: Tensor
    counts: Tensor

    @classmethod
    def of_segments(cls, x: Tensor, num_landmarks: int, start: int, length: int) -> LandmarkSums:
        """The sums of one piece over the segments of the whole document.

        Args:
            x: (B, H, R, D), tokens start .. start + R - 1.
            num_landmarks: M.
            start: the piece's first token.
            length: tokens of the whole document.
        """
        batch, heads, rows, width = x.shape
        segment = _segment(torch.arange(start, start + rows, device=x.device), length, num_landmarks)
        bounds = torch.arange(num_landmarks + 1, device=x.device) * length // num_landmarks
        counts = bounds.clamp(start, start + rows).diff().view(1, 1, -1, 1)
        # Heads last: in the packed batch a token's heads are neighbours, and this view of it is free.
        tokens = x.transpose(1, 2).to(torch.promote_types(x.dtype, torch.float32))
        sums = tokens.new_zeros(batch, num_landmarks, heads, width).index_add(1, segment, tokens).transpose(1, 2)
        return cls(sums, counts)

    def merge(self, other: LandmarkSums) -> LandmarkSums:
        """The sums of both."""
        return LandmarkSums(self.sums + other.sums, self.counts + other.counts)

    def means(self, empty: Tensor | None = None) -> Tensor:
        """(B, H, M, D) in the dtype of the sums; for a landmark without tokens what `empty` has there, else 0."""
        means = self.sums / self.counts.clamp(min=1)
        return means if empty is None else torch.where(self.counts > 0, means, empty)


def segment_means(x: Tensor, num_landmarks: int, mask: Tensor | None = None) -> Tensor:
    """Cut every document into M consecutive segments and take the mean of each.

    Of n valid tokens, segment j holds those ranked floor(j * n / M) .. floor((j + 1) * n / M) - 1, so any length works
    and segment sizes differ by at most one. Sums are kept in float32 at least.

    Args:
        x: (B, H, N, D).
        num_landmarks: M, at least 1.
        mask: (B, N), True where a token is real; None where all are. Masked tokens do not exist: they take no rank,
            and what stands there is not read, not even NaN.

    Returns:
        (B, H, M, D) in the dtype of x. A document with fewer than M tokens leaves segments empty; their means are 0.

    Source:
        Xiong et al. 2021, section 3.2 (segment means), for every length.

    Example:
        >>> segment_means(torch.tensor([1.0, 2.0, 3.0, 4.0, 5.0]).reshape(1, 1, 5, 1), 2).flatten()
        tensor([1.5000, 4.0000])
    """
    return segment_starts(x, num_landmarks, mask).to(x.dtype)


def segment_starts(x: Tensor, num_landmarks: int, mask: Tensor | None = None) -> Tensor:
    """`segment_means` before they are rounded, in float32 at least."""
    batch, heads, length, width = x.shape
    accumulator = torch.promote_types(x.dtype, torch.float32)
    if mask is None:
        if length > 0 and _divides(num_landmarks, length):
            segments = x.unflatten(2, (num_landmarks, -1))
            if x.dtype == accumulator:
                return segments.mean(dim=3)
            # Half precision is summed in float32 as well, by way of a copy: of some segments at a time, a small one.
            some = max(1, BLOCK_ROWS * num_landmarks // length)
            return torch.cat([part.mean(dim=3, dtype=accumulator) for part in segments.split(some, dim=2)], dim=2)
        return LandmarkSums.of_segments(x, num_landmarks, 0, length).means()
    mask = mask.bool()
    rank = mask.cumsum(dim=1) - 1
    # Masked tokens fall into one segment more, which is dropped.
    segment = _segment(rank, mask.sum(dim=1, keepdim=True), num_landmarks).masked_fill(~mask, num_landmarks)
    ones = torch.ones_like(segment)
    counts = torch.zeros(batch, num_landmarks + 1, dtype=segment.dtype, device=x.device)
    counts = counts.scatter_add(1, segment, ones)[:, None, :num_landmarks, None]
    rows = x.masked_fill(~mask[:, None, :, None], 0.0).to(accumulator)
    sums = rows.new_zeros(batch, heads, num_landmarks + 1, width)
    sums = sums.scatter_add(2, segment[:, None, :, None].expand_as(rows), rows)[:, :, :num_landmarks]
    return LandmarkSums(sums, counts).means()


def _divides(num_landmarks: int, length: int) -> bool:
    """Whether all segments are equal; False where a program is recorded that is to read any length."""
    if not is_recorded():
        return length % num_landmarks == 0
    from torch.fx.experimental.symbolic_shapes import statically_known_true  # slow to import

    return bool(statically_known_true(length % num_landmarks == 0))


def _segment(rank: Tensor, length: Tensor | int, num_landmarks: int) -> Tensor:
    """The segment of the token with that rank: the only j with floor(j n / M) <= rank < floor((j + 1) n / M)."""
    if isinstance(length, Tensor):
        length = length.clamp(min=1)
    return ((rank + 1) * num_landmarks - 1) // length
