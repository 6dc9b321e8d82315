"""Softmax attention over keys that arrive in pieces.

Shapes: B documents, H heads, M queries, R keys of a piece, D head width.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from nysformer.ops.blocks import runs_in_blocks
from nysformer.ops.scaled_dot_product import Implementation, scaled_dot_product

__all__ = ["OnlineSoftmax"]


class OnlineSoftmax:
    """softmax(scale * Q K^T) V over pieces of the keys and values, in any order.

    A piece is kept as its own softmax attention and the logarithm of its sum of exponentials, by which two of them are
    averaged. That weight is computed only once there is a second piece; it takes O(M R) memory.

    Args:
        query: (B, H, M, D).
        scale: of the scores.
        implementation: as in `scaled_dot_product`.

    Example:
        >>> query, keys, values = torch.randn(3, 1, 2, 50, 8).unbind(0)
        >>> left, right = OnlineSoftmax(query[:, :, :4], 0.25), OnlineSoftmax(query[:, :, :4], 0.25)
        >>> left.add(keys[:, :, :20], values[:, :, :20])
        >>> right.add(keys[:, :, 20:], values[:, :, 20:])
        >>> left.merge(right)
        >>> left.result().shape
        torch.Size([1, 2, 4, 8])
    """

    def __init__(self, query: Tensor, scale: float, implementation: Implementation = "sdpa") -> None:
        self.query = query
        self.scale = scale
        self.implementation = implementation
        self._total: Tensor | None = None
        self._weight: Callable[[], Tensor] | None = None

    def add(self, key: Tensor, value: Tensor, mask: Tensor | None = None) -> None:
        """Take the next rows.

        Args:
            key, value: (B, H, R, D), R at least 1.
            mask: bool, broadcast to (B, H, M, R), True where a key is real; each query needs one key.
        """
        if mask is None and runs_in_blocks(key):
            # Contiguous: of keys whose heads are neighbours, oneDNN makes a slow copy instead.
            scores = (self.query * self.scale) @ key.contiguous().transpose(-1, -2)
            probabilities = scores.softmax(dim=-1)
            self._join((probabilities @ value).float(), partial(_read_off, scores, probabilities))
            return
        part = scaled_dot_product(
            self.query, key, value, implementation=self.implementation, mask=mask, scale=self.scale
        )
        self._join(part, partial(_log_sum, self.query, key, mask, self.scale))

    def merge(self, other: OnlineSoftmax) -> None:
        """Take the pieces that another of the same queries has taken; that one stays as it is."""
        if other._total is not None and other._weight is not None:
            self._join(other._total, other._weight)

    def result(self) -> Tensor:
        """(B, H, M, D): the weighted mean of all values so far, in float32 at least where there were several pieces."""
        assert self._total is not None, "no keys were added"
        return self._total

    def _join(self, part: Tensor, weight: Callable[[], Tensor]) -> None:
        if self._total is None or self._weight is None:
            self._total, self._weight = part, weight
            return
        with torch.autocast(part.device.type, enabled=False):
            mine, theirs = self._weight(), weight()
            both = torch.logaddexp(mine, theirs)
            self._total = self._total * (mine - both).exp() + part * (theirs - both).exp()
        self._weight = lambda: both


def _read_off(scores: Tensor, probabilities: Tensor) -> Tensor:
    """The logarithm of each row's sum of exponentials, (B, H, M, 1), from its largest score and probability."""
    return scores.amax(-1, keepdim=True).float() - probabilities.amax(-1, keepdim=True).float().log()


def _log_sum(query: Tensor, key: Tensor, mask: Tensor | None, scale: float) -> Tensor:
    """The same from the scores themselves."""
    precision = torch.promote_types(query.dtype, torch.float32)
    scores = scale * query.to(precision) @ key.to(precision).transpose(-1, -2)
    if mask is not None:
        scores = scores.masked_fill(~mask, -torch.inf)
    return scores.logsumexp(dim=-1, keepdim=True)
