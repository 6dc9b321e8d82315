"""Attention maps of one or more documents of equal length: factors, single rows, the full map.

Shapes: B batch, H heads, N queries, S keys, D head width, M landmarks, R rows asked for. No padding here: pass each
document's own tokens. The map times V, plus the convolution, is the output.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from nysformer.ops.landmark_state import LandmarkState, softmax_scores
from nysformer.ops.spec import LandmarkKind, NystromSpec
from nysformer.ops.tracing import check_traceable

__all__ = ["attention_factors", "attention_map", "attention_rows", "map_factors", "map_rows"]


def attention_factors(
    query: Tensor,
    key: Tensor,
    *,
    num_landmarks: int,
    landmarks: LandmarkKind = "segments",
    landmark_steps: int = 2,
    scale: float | None = None,
    pinv_iterations: int = 6,
    per_head_start: bool = False,
) -> tuple[Tensor, Tensor, Tensor]:
    """The three factors whose product F Z B is the Nyström map.

    Args:
        query: (B, H, N, D), N > M.
        key: (B, H, S, D), S > M.
        num_landmarks, landmarks, landmark_steps, scale, pinv_iterations, per_head_start: as in `nystrom_attention`.

    Returns:
        F (B, H, N, M), Z (B, H, M, M), B (B, H, M, S), in float32 at least.

    Raises:
        ValueError: a document of at most M tokens, which has no landmarks.

    Example:
        >>> q, k = torch.randn(2, 1, 2, 20, 8).unbind(0)
        >>> [tuple(factor.shape) for factor in attention_factors(q, k, num_landmarks=4)]
        [(1, 2, 20, 4), (1, 2, 4, 4), (1, 2, 4, 20)]
    """
    return map_factors(
        query,
        key,
        NystromSpec(
            num_landmarks=num_landmarks,
            landmarks=landmarks,
            landmark_steps=landmark_steps,
            scale=scale,
            pinv_iterations=pinv_iterations,
            per_head_start=per_head_start,
        ),
    )


def map_factors(query: Tensor, key: Tensor, spec: NystromSpec) -> tuple[Tensor, Tensor, Tensor]:
    """`attention_factors` of that specification, for documents past M; `softmax_max_length` is not looked at."""
    check_traceable()
    if min(query.shape[2], key.shape[2]) <= spec.num_landmarks:
        raise ValueError(
            f"{query.shape[2]} queries and {key.shape[2]} keys with {spec.num_landmarks} landmarks: a document of at "
            "most that many tokens has softmax attention and no factors; use attention_map"
        )
    state = LandmarkState.means(query, key, spec)
    return state.first(query), state.inverse(), state.third(key)


def attention_rows(
    query: Tensor,
    key: Tensor,
    rows: Sequence[int] | Tensor,
    *,
    num_landmarks: int | None,
    landmarks: LandmarkKind = "segments",
    landmark_steps: int = 2,
    scale: float | None = None,
    pinv_iterations: int = 6,
    per_head_start: bool = False,
    softmax_max_length: int = 0,
) -> Tensor:
    """What the queries at `rows` attend to, in O((N + R) M) for a document past the landmarks.

    Args:
        query: (B, H, N, D).
        key: (B, H, S, D).
        rows: R positions, 0 .. N - 1.
        num_landmarks: M; None for softmax attention.
        landmarks, landmark_steps, scale, pinv_iterations, per_head_start, softmax_max_length: as in
            `nystrom_attention`.

    Returns:
        (B, H, R, S), float32 at least: those rows of `attention_map`. Rows of a Nyström map sum to about 1 and may
        hold negative numbers.

    Example:
        >>> q, k = torch.randn(2, 1, 2, 20, 8).unbind(0)
        >>> attention_rows(q, k, [0], num_landmarks=4).shape
        torch.Size([1, 2, 1, 20])
    """
    if num_landmarks is None:
        check_traceable()
        return _exact_rows(query, key, rows, scale)
    spec = NystromSpec(
        num_landmarks=num_landmarks,
        landmarks=landmarks,
        landmark_steps=landmark_steps,
        scale=scale,
        pinv_iterations=pinv_iterations,
        per_head_start=per_head_start,
        softmax_max_length=softmax_max_length,
    )
    return map_rows(query, key, rows, spec)


def map_rows(query: Tensor, key: Tensor, rows: Sequence[int] | Tensor, spec: NystromSpec | None) -> Tensor:
    """`attention_rows` of that specification; for None those of softmax attention at the default scale."""
    check_traceable()
    if spec is None or spec.is_exact(query.shape[2], key.shape[2]):
        return _exact_rows(query, key, rows, None if spec is None else spec.scale)
    state = LandmarkState.means(query, key, spec)
    first = state.first(_select(query, rows))
    # (R, M) times (M, M) before (M, S): nothing larger than the result and B is held.
    return (first @ state.inverse()) @ state.third(key)


def attention_map(
    query: Tensor,
    key: Tensor,
    *,
    num_landmarks: int | None,
    landmarks: LandmarkKind = "segments",
    landmark_steps: int = 2,
    scale: float | None = None,
    pinv_iterations: int = 6,
    per_head_start: bool = False,
    softmax_max_length: int = 0,
) -> Tensor:
    """The full map: every row of `attention_rows`. O(N S) memory, whatever the mode.

    Args:
        query: (B, H, N, D).
        key: (B, H, S, D).
        num_landmarks, landmarks, landmark_steps, scale, pinv_iterations, per_head_start, softmax_max_length: as in
            `attention_rows`.

    Returns:
        (B, H, N, S), float32 at least.

    Example:
        >>> q, k = torch.randn(2, 1, 2, 20, 8).unbind(0)
        >>> attention_map(q, k, num_landmarks=None).sum(-1).allclose(torch.ones(1, 2, 20))
        True
    """
    return attention_rows(
        query,
        key,
        range(query.shape[2]),
        num_landmarks=num_landmarks,
        landmarks=landmarks,
        landmark_steps=landmark_steps,
        scale=scale,
        pinv_iterations=pinv_iterations,
        per_head_start=per_head_start,
        softmax_max_length=softmax_max_length,
    )


def _exact_rows(query: Tensor, key: Tensor, rows: Sequence[int] | Tensor, scale: float | None) -> Tensor:
    return softmax_scores(_select(query, rows), key, query.shape[-1] ** -0.5 if scale is None else scale)


def _select(query: Tensor, rows: Sequence[int] | Tensor) -> Tensor:
    return query.index_select(2, torch.as_tensor(rows, device=query.device))
