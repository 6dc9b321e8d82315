"""The Nyström approximation over keys that arrive in pieces.

Shapes: B documents, H heads, N queries, S keys, D head width, M landmarks, R rows of a piece.
"""

from __future__ import annotations

import torch
from torch import Tensor

from nysformer.ops.blocks import runs_in_blocks
from nysformer.ops.clusters import cluster_means
from nysformer.ops.landmarks import segment_means, segment_starts
from nysformer.ops.online_softmax import OnlineSoftmax
from nysformer.ops.pinv import iterative_pinv
from nysformer.ops.scaled_dot_product import Implementation, scaled_dot_product
from nysformer.ops.spec import NystromSpec

__all__ = ["LandmarkState", "softmax_scores"]


class LandmarkState:
    """F (Z (B V)) of the documents of a batch, between landmarks and output.

    `means` finds the landmarks (or they are given, where a document lies in several places: see `LandmarkSums`), `add`
    takes keys and values, `merge` what another state has taken, `solve` ends that, and `read` gives the output of any
    queries. Everything between the pieces is of size O(M D + M^2), whatever S is.

    Args:
        query_landmarks, key_landmarks: (B, H, M, D).
        spec: of the attention.
        implementation: as in `nystrom_attention`.

    Source:
        Xiong et al. 2021, equations 9-13.

    Example:
        >>> query, key, value = torch.randn(3, 1, 2, 100, 8).unbind(0)
        >>> state = LandmarkState.means(query, key, NystromSpec(num_landmarks=4))
        >>> for rows in (slice(0, 70), slice(70, 100)):
        ...     state.add(key[:, :, rows], value[:, :, rows])
        >>> state.solve()
        >>> state.read(query).shape
        torch.Size([1, 2, 100, 8])
    """

    def __init__(
        self,
        query_landmarks: Tensor,
        key_landmarks: Tensor,
        spec: NystromSpec,
        implementation: Implementation = "sdpa",
    ) -> None:
        self.query_landmarks = query_landmarks
        self.key_landmarks = key_landmarks
        self.spec = spec
        self.scale = spec.scale_for(query_landmarks.shape[-1])
        self.implementation = implementation
        self._summary = OnlineSoftmax(query_landmarks, self.scale, implementation)
        self._dtype = query_landmarks.dtype
        self._weighted: Tensor | None = None

    @classmethod
    def means(
        cls,
        query: Tensor,
        key: Tensor,
        spec: NystromSpec,
        *,
        query_mask: Tensor | None = None,
        key_mask: Tensor | None = None,
        implementation: Implementation = "sdpa",
    ) -> LandmarkState:
        """A state with the landmarks of whole documents.

        Args:
            query: (B, H, N, D).
            key: (B, H, S, D).
            spec, implementation: see the class.
            query_mask, key_mask: (B, N) and (B, S), True where a token is real; None where all are.
        """
        query_landmarks, key_landmarks = (
            _landmarks(x, spec, mask) for x, mask in ((query, query_mask), (key, key_mask))
        )
        return cls(query_landmarks, key_landmarks, spec, implementation)

    def add(self, key: Tensor, value: Tensor, mask: Tensor | None = None) -> None:
        """Take keys and values (B, H, R, D); for the mask see `OnlineSoftmax.add`."""
        self._dtype = value.dtype
        self._summary.add(key, value, mask)

    def merge(self, other: LandmarkState) -> None:
        """Take the keys and values that another state of the same landmarks has taken; that one stays as it is."""
        self._summary.merge(other._summary)

    def solve(self) -> None:
        """Compute W = Z (B V), (B, H, M, D), of all keys taken so far."""
        inverse = self.inverse()
        with torch.autocast(inverse.device.type, enabled=False):
            self._weighted = (inverse @ self._summary.result().to(inverse.dtype)).to(self._dtype)

    def read(self, query: Tensor) -> Tensor:
        """F W, after `solve`: queries (B, H, R, D) to their output in that shape."""
        assert self._weighted is not None, "solve() comes before read()"
        if runs_in_blocks(query):
            scores = query @ (self.key_landmarks * self.scale).transpose(-1, -2)
            return scores.softmax(dim=-1) @ self._weighted
        return scaled_dot_product(
            query, self.key_landmarks, self._weighted, implementation=self.implementation, scale=self.scale
        )

    def inverse(self) -> Tensor:
        """Z, the iterative inverse of A = softmax(scale * Q~ K~^T), (B, H, M, M).

        In float32 at least, also under autocast: in half precision the iteration loses the inverse's cancellations.
        """
        kernel = softmax_scores(self.query_landmarks, self.key_landmarks, self.scale)
        with torch.autocast(kernel.device.type, enabled=False):
            return iterative_pinv(kernel, self.spec.pinv_iterations, per_head_start=self.spec.per_head_start)

    def first(self, query: Tensor) -> Tensor:
        """F, written out: queries (B, H, R, D) to (B, H, R, M) in float32 at least."""
        return softmax_scores(query, self.key_landmarks, self.scale)

    def third(self, key: Tensor) -> Tensor:
        """B, written out: all keys (B, H, S, D) to (B, H, M, S) in float32 at least."""
        return softmax_scores(self.query_landmarks, key, self.scale)


def _landmarks(x: Tensor, spec: NystromSpec, mask: Tensor | None) -> Tensor:
    """(B, H, N, D) to the landmarks (B, H, M, D) of that kind.

    Scaling all queries moves no token to another cluster, so those of Q, scaled, are those of scale * Q.
    """
    if spec.landmarks == "segments":
        return segment_means(x, spec.num_landmarks, mask)
    start = segment_starts(x, spec.num_landmarks, mask)
    return cluster_means(x, start, spec.landmark_steps, mask).to(x.dtype)


def softmax_scores(query: Tensor, key: Tensor, scale: float) -> Tensor:
    """softmax(scale * Q K^T): (B, H, N, D) and (B, H, S, D) to (B, H, N, S), in float32 at least."""
    precision = torch.promote_types(query.dtype, torch.float32)
    with torch.autocast(query.device.type, enabled=False):
        return (scale * query.to(precision) @ key.to(precision).transpose(-1, -2)).softmax(dim=-1)
