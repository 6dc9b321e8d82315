"""Softmax and Nyström attention: one signature, dense or packed.

Dense: query (B, H, N, D), key and value (B, H, S, D), output (B, H, N, D).
Packed: query (T, H, D) with `offsets`, key and value (S, H, D) with `key_offsets`, output (T, H, D).
B batch, H heads, N queries, S keys, D head width, M landmarks, T packed query tokens.

Both kernels that touch the sequence are softmax attention: B V of M queries over S keys, F W with W = Z (B V) of N
queries over M keys. They run in `scaled_dot_product_attention`, without gradients on a CPU by products over blocks of
rows (`nysformer.ops.blocks`), so that no (N, M) or (N, S) matrix is held, forward or backward. With
`implementation="eager"` they are plain products, which hold those matrices and can be differentiated any number of
times.
"""

from functools import partial

from torch import Tensor

from nysformer.ops.dense import nystrom, softmax
from nysformer.ops.dispatch import Offsets, dispatch
from nysformer.ops.scaled_dot_product import Implementation, check_implementation
from nysformer.ops.spec import LandmarkKind, NystromSpec

__all__ = ["attend", "nystrom_attention", "softmax_attention"]


def softmax_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    *,
    mask: Tensor | None = None,
    query_mask: Tensor | None = None,
    offsets: Offsets | None = None,
    key_offsets: Offsets | None = None,
    scale: float | None = None,
    conv_weight: Tensor | None = None,
    dropout_p: float = 0.0,
    implementation: Implementation = "sdpa",
) -> Tensor:
    """softmax(scale * Q K^T) V, plus the convolution of V: what the approximation tends to, and its cost is O(N S).

    Args:
        query, key, value: dense or packed, see the top of this file.
        mask: (B, S), dense form only: True where a key is real. Masked keys do not exist; what stands there is not
            read, not even NaN.
        query_mask: (B, N), True where a query is real. None: the queries are the keys' tokens if N == S, else all are
            real; so cross-attention of equal lengths with masked keys has to pass it.
        offsets: the packed documents' bounds (K + 1,), or a `Layout`; None for the dense form.
        key_offsets: the bounds of the keys where they differ from the queries'.
        scale: of the scores; None for 1 / sqrt(D).
        conv_weight: (H, 1, k, 1), k odd: depthwise convolution of V along the document, zero-padded at its ends,
            added to the output. Needs N == S.
        dropout_p: drops probabilities.
        implementation: "sdpa" for torch's fused attention; "eager" for plain products, O(N S) memory, whose second and
            forward-mode derivatives exist on every device.

    Returns:
        The shape and dtype of query. Masked queries, and queries of a document without keys, give zeros.

    Raises:
        ValueError: shapes that do not fit, or another implementation.
        NysformerError: `torch.jit.trace` is running, which would record this length only.

    Example:
        >>> import torch
        >>> q = k = v = torch.ones(1, 2, 3, 4)
        >>> softmax_attention(q, k, v).shape
        torch.Size([1, 2, 3, 4])
    """
    check_implementation(implementation)
    return dispatch(
        partial(softmax, scale=scale, conv_weight=conv_weight, dropout_p=dropout_p, implementation=implementation),
        query,
        key,
        value,
        mask=mask,
        query_mask=query_mask,
        offsets=offsets,
        key_offsets=key_offsets,
        conv_weight=conv_weight,
    )


def nystrom_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    *,
    num_landmarks: int,
    landmarks: LandmarkKind = "segments",
    landmark_steps: int = 2,
    mask: Tensor | None = None,
    query_mask: Tensor | None = None,
    offsets: Offsets | None = None,
    key_offsets: Offsets | None = None,
    scale: float | None = None,
    pinv_iterations: int = 6,
    per_head_start: bool = False,
    softmax_max_length: int = 0,
    conv_weight: Tensor | None = None,
    dropout_p: float = 0.0,
    implementation: Implementation = "sdpa",
) -> Tensor:
    """Softmax attention approximated through M landmarks: F (Z (B V)) plus the convolution of V, at O((N + S) M).

    F = softmax(scale * Q K~^T), A = softmax(scale * Q~ K~^T), B = softmax(scale * Q~ K^T), Z the iterative inverse of
    A, Q~ and K~ the landmarks. A document of at most max(M, softmax_max_length) queries or keys gets softmax
    attention itself, which the approximation tends to and which is cheaper there.

    Args:
        query, key, value, mask, query_mask, offsets, key_offsets, scale, conv_weight: as in `softmax_attention`.
        num_landmarks: M, at least 1.
        landmarks: "segments" for the means of consecutive, nearly equal segments of the queries and of the keys, the
            published choice; "clusters" for the centres of clusters of the queries and of the keys, each for itself,
            by k-means from those means. Clusters approximate better and cost little more.
        landmark_steps: of the k-means, 1 to 16; more than 3 are not better.
        pinv_iterations: steps of the inverse, see `iterative_pinv`.
        per_head_start: where the inverse starts, see `iterative_pinv`.
        softmax_max_length: up to how many tokens a document gets softmax attention.
        dropout_p: drops a token's value in B V, one draw a head and token shared by the landmarks, so that training
            holds no (M, S) tensor either.
        implementation: as in `softmax_attention`, with O((N + S) M) memory for "eager".

    Returns:
        The shape and dtype of query. Masked queries, and queries of a document without keys, give zeros. The (M, M)
        part runs in float32 whatever the dtype.

    Raises:
        ValueError: shapes that do not fit, or another implementation.
        NysformerError: a number of landmarks or steps out of bounds, another kind of landmarks, or `torch.jit.trace` is
            running, which would record this length only.

    Source:
        Xiong et al. 2021, equations 9-13.

    Example:
        >>> import torch
        >>> q, k, v = torch.randn(3, 100, 2, 16).unbind(0)  # packed: 100 tokens, 2 heads of 16
        >>> nystrom_attention(q, k, v, num_landmarks=8, offsets=[0, 30, 100]).shape
        torch.Size([100, 2, 16])
    """
    spec = NystromSpec(
        num_landmarks=num_landmarks,
        landmarks=landmarks,
        landmark_steps=landmark_steps,
        scale=scale,
        pinv_iterations=pinv_iterations,
        per_head_start=per_head_start,
        softmax_max_length=softmax_max_length,
    )
    return attend(
        query,
        key,
        value,
        spec,
        mask=mask,
        query_mask=query_mask,
        offsets=offsets,
        key_offsets=key_offsets,
        conv_weight=conv_weight,
        dropout_p=dropout_p,
        implementation=implementation,
    )


def attend(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    spec: NystromSpec | None,
    *,
    mask: Tensor | None = None,
    query_mask: Tensor | None = None,
    offsets: Offsets | None = None,
    key_offsets: Offsets | None = None,
    conv_weight: Tensor | None = None,
    dropout_p: float = 0.0,
    implementation: Implementation = "sdpa",
) -> Tensor:
    """`nystrom_attention` of that specification; for None, `softmax_attention` at the default scale."""
    if spec is None:
        return softmax_attention(
            query,
            key,
            value,
            mask=mask,
            query_mask=query_mask,
            offsets=offsets,
            key_offsets=key_offsets,
            conv_weight=conv_weight,
            dropout_p=dropout_p,
            implementation=implementation,
        )
    check_implementation(implementation)
    return dispatch(
        partial(nystrom, spec=spec, conv_weight=conv_weight, dropout_p=dropout_p, implementation=implementation),
        query,
        key,
        value,
        mask=mask,
        query_mask=query_mask,
        offsets=offsets,
        key_offsets=key_offsets,
        conv_weight=conv_weight,
    )
