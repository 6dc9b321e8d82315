"""Landmarks from the content: a few Lloyd (k-means) steps from the segment means.

Shapes: B documents, H heads, N tokens, M landmarks, D head width, R rows of a piece.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from itertools import accumulate

import torch
from torch import Tensor

from nysformer.ops.blocks import BLOCK_ROWS
from nysformer.ops.landmarks import LandmarkSums
from nysformer.ops.tracing import is_differentiated_forward, is_recorded

__all__ = ["assign", "cluster_means", "cluster_pieces", "sums_of"]

# Numbers in the tokens that are converted and summed at once, and in the scores of a block of them. They stay in the
# cache, and the allocator returns the same memory for so few, where fresh memory would cost as much as the products.
_NUMBERS = 3 * 2**17
_FEWEST_ROWS = 64


def cluster_means(x: Tensor, start: Tensor, steps: int, mask: Tensor | None = None) -> Tensor:
    """Assign every token to its nearest centre and take the means of the assigned, `steps` times.

    Nearest by squared distance, the lowest index among equals; a centre without tokens stays where it is. Assignments
    are constants in the backward pass: gradients flow through the means of the last one.

    Args:
        x: (B, H, N, D).
        start: (B, H, M, D), the first centres, float32 at least.
        steps: at least 1.
        mask: (B, N), True where a token is real; None where all are. What stands at masked places is not read.

    Returns:
        (B, H, M, D) in the dtype of `start`.

    Source:
        Lloyd 1982, "Least squares quantization in PCM".

    Example:
        >>> x = torch.tensor([0.0, 9.0, 1.0, 8.0]).reshape(1, 1, 4, 1)
        >>> cluster_means(x, torch.tensor([4.0, 4.5]).reshape(1, 1, 2, 1), steps=1).flatten()
        tensor([0.5000, 8.5000])
    """
    if mask is not None:
        mask = mask.bool()
        x = x.masked_fill(~mask[:, None, :, None], 0.0)
    indices, centres = [], start.detach()
    with torch.no_grad():
        for _ in range(steps):
            index, sums = assign(x.detach(), centres, mask)
            centres = sums.means(centres)
            indices.append(index)
    if not (torch.is_grad_enabled() or is_differentiated_forward()):
        return centres

    def centres_after(step: int) -> Tensor:
        if step == 0:
            return start
        sums = sums_of(x, indices[step - 1], start.shape[2])
        if not is_recorded() and bool((sums.counts > 0).all()):
            return sums.means()  # of earlier centres nothing is left
        return sums.means(centres_after(step - 1))

    return centres_after(steps)


@torch.no_grad()
def cluster_pieces(pieces: Sequence[Tensor], length: int, num_landmarks: int, steps: int) -> Tensor:
    """The clusters of a document that comes in pieces, from its segment means; without gradients.

    Args:
        pieces: (B, H, R, D) each, in order.
        length: their rows together.
        num_landmarks: M.
        steps: as in `cluster_means`.

    Returns:
        (B, H, M, D) in the dtype of the pieces.

    Example:
        >>> x = torch.randn(1, 2, 100, 8)
        >>> cluster_pieces(x.split(30, dim=2), 100, num_landmarks=4, steps=2).shape
        torch.Size([1, 2, 4, 8])
    """
    starts = accumulate((piece.shape[2] for piece in pieces), initial=0)
    segments = [
        LandmarkSums.of_segments(piece, num_landmarks, start, length)
        for piece, start in zip(pieces, starts, strict=False)
    ]
    centres = reduce(LandmarkSums.merge, segments).means()
    for _ in range(steps):
        centres = reduce(LandmarkSums.merge, [assign(piece, centres)[1] for piece in pieces]).means(centres)
    return centres.to(pieces[0].dtype)


@torch.no_grad()
def assign(x: Tensor, centres: Tensor, mask: Tensor | None = None) -> tuple[Tensor, LandmarkSums]:
    """The nearest centre of every token, and each centre's tokens summed and counted.

    Distances are computed in float32 at least, a block of rows at a time, so that no (N, M) tensor is held. A program
    that is recorded takes all rows at once, since there may be any number of them.

    Args:
        x: (B, H, R, D), a document or any piece of it; numbers at masked places, too.
        centres: (B, H, M, D), float32 at least.
        mask: (B, R) bool, True where a token is real.

    Returns:
        The index (B, H, R), int64, the lowest of several nearest ones, and M for a token that is masked or not a
        number; and the sums, without gradients.

    Example:
        >>> x = torch.tensor([0.0, 9.0, float("nan"), 8.0]).reshape(1, 1, 4, 1)
        >>> index, sums = assign(x, torch.tensor([1.0, 7.0]).reshape(1, 1, 2, 1))
        >>> index.flatten(), sums.sums.flatten()
        (tensor([0, 1, 2, 1]), tensor([ 0., 17.]))
    """
    with torch.autocast(x.device.type, enabled=False):
        search = _Search(centres)
        if not is_recorded():
            return search.in_blocks(x, mask)
        ranks = search.ranks_of(x.to(centres.dtype).flatten(0, 1))
        index = (centres.shape[2] - ranks.long()).unflatten(0, x.shape[:2])
        index = index if mask is None else index.masked_fill(~mask[:, None], centres.shape[2])
        return index, sums_of(x, index, centres.shape[2])


class _Search:
    """The search for the nearest of some centres: (B, H, M, D).

    The rank of centre j is M - j: among the nearest ones the largest rank is that of the lowest index. `argmax` would
    take forty times as long.
    """

    def __init__(self, centres: Tensor) -> None:
        self.centres = centres.flatten(0, 1)
        # x c - c^2 / 2 is largest where the distance is smallest.
        self.offsets = self.centres.square().sum(dim=-1, keepdim=True) / -2
        self.ranks = torch.arange(centres.shape[2], 0, -1, dtype=centres.dtype, device=centres.device)[:, None]

    def ranks_of(self, tokens: Tensor, room: Tensor | None = None, out: Tensor | None = None) -> Tensor:
        """The rank (B H, R) of the centre nearest to each of the tokens (B H, R, D); 0 for what is not a number.

        Scores go to `room`, (B H, M, R), one row a centre, so that `amax` runs along the tokens.
        """
        scores = torch.baddbmm(self.offsets, self.centres, tokens.transpose(1, 2), out=room)
        peaks = scores.amax(dim=1, keepdim=True)
        at_peak = (scores == peaks).to(scores.dtype) if room is None else scores.eq_(peaks)
        return torch.amax(at_peak.mul_(self.ranks), dim=1, out=out)

    def in_blocks(self, x: Tensor, mask: Tensor | None) -> tuple[Tensor, LandmarkSums]:
        """What `assign` returns, for (B, H, R, D)."""
        batch, heads, length, width = x.shape
        both, number = batch * heads, len(self.ranks)
        bins = number + 1
        chunk_rows, block_rows = (
            min(BLOCK_ROWS, max(_FEWEST_ROWS, _NUMBERS // max(1, both * size))) for size in (width, number)
        )
        block_rows = min(block_rows, chunk_rows)
        tokens_room = self.centres.new_empty(both * chunk_rows * width)
        scores_room = self.centres.new_empty(both * number * block_rows)
        ranks = self.centres.new_empty(both, length)
        bin_of = torch.arange(both, device=x.device)[:, None] * bins + number
        sums = self.centres.new_zeros(both * bins, width)
        counts = bin_of.new_zeros(both * bins)
        ones = bin_of.new_ones(both * chunk_rows)
        for begin in range(0, length, chunk_rows):
            chunk = x[:, :, begin : begin + chunk_rows]
            tokens = tokens_room[: chunk.numel()].view(chunk.shape).copy_(chunk).flatten(0, 1)
            found = ranks[:, begin : begin + chunk_rows]
            for block, place in zip(tokens.split(block_rows, dim=1), found.split(block_rows, dim=1), strict=True):
                room = scores_room[: both * number * block.shape[1]].view(both, number, block.shape[1])
                self.ranks_of(block, room, place)
            if mask is not None:
                found.view(batch, heads, -1).masked_fill_(~mask[:, None, begin : begin + chunk_rows], 0)
            bin_index = (bin_of - found.long()).flatten()
            sums.index_add_(0, bin_index, tokens.flatten(0, 1))
            counts.index_add_(0, bin_index, ones[: len(bin_index)])
        return (number - ranks.long()).view(batch, heads, length), _without_last(sums, counts, x.shape, bins)


def sums_of(x: Tensor, index: Tensor, num_landmarks: int) -> LandmarkSums:
    """The tokens of (B, H, R, D) summed and counted by their index (B, H, R), 0 .. M; M is dropped."""
    batch, heads, rows, width = x.shape
    bins = num_landmarks + 1
    tokens = x.to(torch.promote_types(x.dtype, torch.float32)).reshape(batch * heads * rows, width)
    bin_of = torch.arange(batch * heads, device=x.device).view(batch, heads, 1) * bins
    bin_index = (index + bin_of).reshape(batch * heads * rows)
    sums = tokens.new_zeros(batch * heads * bins, width).index_add(0, bin_index, tokens)
    counts = torch.zeros(batch * heads * bins, dtype=torch.int64, device=x.device)
    counts = counts.index_add(0, bin_index, torch.ones_like(bin_index))
    return _without_last(sums, counts, x.shape, bins)


def _without_last(sums: Tensor, counts: Tensor, shape: torch.Size, bins: int) -> LandmarkSums:
    batch, heads, _, width = shape
    return LandmarkSums(sums.view(batch, heads, bins, width)[:, :, :-1], counts.view(batch, heads, bins, 1)[:, :, :-1])
