"""The attention of nystrom-attention 0.0.14, for checkpoints trained with it: its numbers, without its memory.

It pads every document in front to a multiple of M, and the padding is attended; masked landmarks and queries attend to
everything evenly; one start of the inverse serves the whole batch. None of this is right, and a trained model relies on
all of it.

Shapes: B batch, H heads, N padded length, a multiple of M, D head width, M landmarks, R rows asked for.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from nysformer.ops.pinv import newton_steps
from nysformer.ops.scaled_dot_product import Implementation
from nysformer.ops.tracing import is_differentiated_forward

__all__ = ["FrontPadded", "front_padding"]


def front_padding(length: int, num_landmarks: int) -> int:
    """How many blank tokens stand before a document of that length."""
    return -length % num_landmarks


class FrontPadded(NamedTuple):
    """Queries, keys and landmarks of a padded batch, masked as that implementation masks.

    Attributes:
        query, key: (B, H, N, D), zero at masked places; the query is scaled.
        query_landmarks, key_landmarks: (B, H, M, D).
        mask: (B, N) bool, or None where the padding counts as real.
        landmark_mask: (B, M) bool, False where a segment holds no real token; or None.

    Example:
        >>> q, k, v = torch.randn(3, 1, 2, 12, 8).unbind(0)
        >>> FrontPadded.of(q, k, None, num_landmarks=4).attend(v, 6).shape
        torch.Size([1, 2, 12, 8])
    """

    query: Tensor
    key: Tensor
    query_landmarks: Tensor
    key_landmarks: Tensor
    mask: Tensor | None
    landmark_mask: Tensor | None

    @classmethod
    def of(
        cls, query: Tensor, key: Tensor, mask: Tensor | None, *, num_landmarks: int, eps: float = 1e-8
    ) -> FrontPadded:
        """(B, H, N, D) twice and the (B, N) mask, True where a token is real, padded already; eps joins the counts."""
        query = query * query.shape[-1] ** -0.5
        size: int | Tensor = query.shape[2] // num_landmarks
        landmark_mask = None
        if mask is not None:
            query, key = (x * mask[:, None, :, None] for x in (query, key))
            counts = mask.unflatten(1, (num_landmarks, -1)).sum(dim=2)
            landmark_mask = counts > 0
            size = (counts + eps)[:, None, :, None]
        precision = torch.promote_types(query.dtype, torch.float32)
        query_landmarks, key_landmarks = (
            (x.unflatten(2, (num_landmarks, -1)).sum(dim=3, dtype=precision) / size).to(x.dtype) for x in (query, key)
        )
        return cls(query, key, query_landmarks, key_landmarks, mask, landmark_mask)

    def attend(self, value: Tensor, pinv_iterations: int, implementation: Implementation = "sdpa") -> Tensor:
        """F (Z (B V)) for values (B, H, N, D) that are zero at masked places. "sdpa" holds no (N, M) matrix."""
        if implementation == "eager" or is_differentiated_forward():
            first, inverse, third = self.factors(pinv_iterations)
            return (first @ (inverse @ (third @ value.to(third.dtype)))).to(value.dtype)
        summary = self._softmax_of(self.query_landmarks, self.key, value, self.landmark_mask, self.mask)
        inverse = self.inverse(pinv_iterations)
        with torch.autocast(value.device.type, enabled=False):
            weighted = (inverse @ summary.to(inverse.dtype)).to(value.dtype)
        return self._softmax_of(self.query, self.key_landmarks, weighted, self.mask, self.landmark_mask)

    def inverse(self, pinv_iterations: int) -> Tensor:
        """Z, (B, H, M, M) in float32 at least, from one start for all documents and heads."""
        kernel = self._kernel(self.query_landmarks, self.key_landmarks, self.landmark_mask, self.landmark_mask)
        start = kernel.sum(dim=-1).max() * kernel.sum(dim=-2).max()
        return newton_steps(kernel, kernel.transpose(-1, -2) / start, pinv_iterations)

    def factors(self, pinv_iterations: int) -> tuple[Tensor, Tensor, Tensor]:
        """F (B, H, N, M), Z (B, H, M, M) and B (B, H, M, N)."""
        first = self._kernel(self.query, self.key_landmarks, self.mask, self.landmark_mask)
        third = self._kernel(self.query_landmarks, self.key, self.landmark_mask, self.mask)
        return first, self.inverse(pinv_iterations), third

    def rows(self, rows: Tensor, pinv_iterations: int) -> Tensor:
        """The (B, H, R, N) rows of F Z B at those positions, (R,) int64, without the rest of it."""
        chosen = self._replace(
            query=self.query.index_select(2, rows), mask=None if self.mask is None else self.mask.index_select(1, rows)
        )
        first = self._kernel(chosen.query, self.key_landmarks, chosen.mask, self.landmark_mask)
        third = self._kernel(self.query_landmarks, self.key, self.landmark_mask, self.mask)
        return (first @ self.inverse(pinv_iterations)) @ third

    @staticmethod
    def _kernel(query: Tensor, key: Tensor, query_mask: Tensor | None, key_mask: Tensor | None) -> Tensor:
        """softmax(Q K^T) with every pair that has a masked side at the lowest score: masked queries become uniform."""
        precision = torch.promote_types(query.dtype, torch.float32)
        with torch.autocast(query.device.type, enabled=False):
            scores = query.to(precision) @ key.to(precision).transpose(-1, -2)
            if query_mask is not None and key_mask is not None:
                pairs = query_mask[:, None, :, None] & key_mask[:, None, None, :]
                scores = scores.masked_fill(~pairs, -torch.finfo(precision).max)
            return scores.softmax(dim=-1)

    @staticmethod
    def _softmax_of(
        query: Tensor, key: Tensor, value: Tensor, query_mask: Tensor | None, key_mask: Tensor | None
    ) -> Tensor:
        """`_kernel` times V through SDPA, with a mask over keys only: what is uniform is the mean of V."""
        if query_mask is None or key_mask is None:
            return F.scaled_dot_product_attention(query, key, value, scale=1.0)
        # A bias, not a bool: where no key is real the scores stay even, as they do in `_kernel`.
        lowest = torch.finfo(query.dtype).min
        bias = torch.zeros_like(key_mask, dtype=query.dtype).masked_fill(~key_mask, lowest)[:, None, None, :]
        attended = F.scaled_dot_product_attention(query, key, value, attn_mask=bias, scale=1.0)
        return torch.where(query_mask[:, None, :, None], attended, value.mean(dim=2, keepdim=True))
