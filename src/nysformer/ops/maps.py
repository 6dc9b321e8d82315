"""Attention maps of one or more documents of equal length: factors, single rows, the full map.

Shapes: B batch, H heads, N queries, S keys, D head width, M landmarks, R rows asked for. No padding here: pass each
document's own tokens. The map times V, plus the convolution, is the output.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from nysformer.ops.attention import landmark_inverse
from nysformer.ops.landmarks import segment_means
from nysformer.ops.tracing import check_traceable

__all__ = ["attention_factors", "attention_map", "attention_rows"]


def attention_factors(
    query: Tensor,
    key: Tensor,
    *,
    num_landmarks: int,
    scale: float | None = None,
    pinv_iterations: int = 6,
    per_head_start: bool = False,
) -> tuple[Tensor, Tensor, Tensor]:
    """The three factors whose product F Z B is the Nyström map.

    Args:
        query: (B, H, N, D), N > M.
        key: (B, H, S, D), S > M.
        num_landmarks, scale, pinv_iterations, per_head_start: as in `nystrom_attention`.

    Returns:
        F (B, H, N, M), Z (B, H, M, M), B (B, H, M, S), in float32 at least.

    Raises:
        ValueError: a document of at most M tokens, which has no landmarks.

    Example:
        >>> q, k = torch.randn(2, 1, 2, 20, 8).unbind(0)
        >>> [tuple(factor.shape) for factor in attention_factors(q, k, num_landmarks=4)]
        [(1, 2, 20, 4), (1, 2, 4, 4), (1, 2, 4, 20)]
    """
    check_traceable()
    if min(query.shape[2], key.shape[2]) <= num_landmarks:
        raise ValueError(
            f"{query.shape[2]} queries and {key.shape[2]} keys with {num_landmarks} landmarks: a document of at most "
            "that many tokens has softmax attention and no factors; use attention_map"
        )
    scale = query.shape[-1] ** -0.5 if scale is None else scale
    query_landmarks = segment_means(query, num_landmarks)
    key_landmarks = segment_means(key, num_landmarks)
    inverse = landmark_inverse(query_landmarks, key_landmarks, scale, pinv_iterations, per_head_start)
    return _softmax_scores(query, key_landmarks, scale), inverse, _softmax_scores(query_landmarks, key, scale)


def attention_rows(
    query: Tensor,
    key: Tensor,
    rows: Sequence[int] | Tensor,
    *,
    num_landmarks: int | None,
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
        scale, pinv_iterations, per_head_start, softmax_max_length: as in `nystrom_attention`.

    Returns:
        (B, H, R, S), float32 at least: those rows of `attention_map`. Rows of a Nyström map sum to about 1 and may
        hold negative numbers.

    Example:
        >>> q, k = torch.randn(2, 1, 2, 20, 8).unbind(0)
        >>> attention_rows(q, k, [0], num_landmarks=4).shape
        torch.Size([1, 2, 1, 20])
    """
    check_traceable()
    scale = query.shape[-1] ** -0.5 if scale is None else scale
    index = torch.as_tensor(rows, device=query.device)
    if num_landmarks is None or min(query.shape[2], key.shape[2]) <= max(num_landmarks, softmax_max_length):
        return _softmax_scores(query.index_select(2, index), key, scale)
    query_landmarks = segment_means(query, num_landmarks)
    key_landmarks = segment_means(key, num_landmarks)
    inverse = landmark_inverse(query_landmarks, key_landmarks, scale, pinv_iterations, per_head_start)
    first = _softmax_scores(query.index_select(2, index), key_landmarks, scale)
    # (R, M) times (M, M) before (M, S): nothing larger than the result and B is held.
    return (first @ inverse) @ _softmax_scores(query_landmarks, key, scale)


def attention_map(
    query: Tensor,
    key: Tensor,
    *,
    num_landmarks: int | None,
    scale: float | None = None,
    pinv_iterations: int = 6,
    per_head_start: bool = False,
    softmax_max_length: int = 0,
) -> Tensor:
    """The full map: every row of `attention_rows`. O(N S) memory, whatever the mode.

    Args:
        query: (B, H, N, D).
        key: (B, H, S, D).
        num_landmarks, scale, pinv_iterations, per_head_start, softmax_max_length: as in `attention_rows`.

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
        scale=scale,
        pinv_iterations=pinv_iterations,
        per_head_start=per_head_start,
        softmax_max_length=softmax_max_length,
    )


def _softmax_scores(query: Tensor, key: Tensor, scale: float) -> Tensor:
    precision = torch.promote_types(query.dtype, torch.float32)
    with torch.autocast(query.device.type, enabled=False):
        return (scale * query.to(precision) @ key.to(precision).transpose(-1, -2)).softmax(dim=-1)
