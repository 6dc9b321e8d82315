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

from collections.abc import Sequence
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from nysformer.ops.blocks import BLOCK_ROWS, KeySummary, read_landmarks, runs_in_blocks
from nysformer.ops.convolution import depthwise_convolution
from nysformer.ops.landmarks import segment_means
from nysformer.ops.layout import Layout, as_layout
from nysformer.ops.pinv import iterative_pinv
from nysformer.ops.scaled_dot_product import Implementation, check_implementation, scaled_dot_product
from nysformer.ops.tracing import check_traceable

__all__ = ["landmark_inverse", "nystrom_attention", "softmax_attention"]

Offsets = Layout | Sequence[int] | Tensor


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
        >>> q = k = v = torch.ones(1, 2, 3, 4)
        >>> softmax_attention(q, k, v).shape
        torch.Size([1, 2, 3, 4])
    """
    check_implementation(implementation)
    attend = partial(_softmax, scale=scale, conv_weight=conv_weight, dropout_p=dropout_p, implementation=implementation)
    return _dispatch(attend, query, key, value, mask, query_mask, offsets, key_offsets)


def nystrom_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    *,
    num_landmarks: int,
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
    A, Q~ and K~ the segment means. A document of at most max(M, softmax_max_length) queries or keys gets softmax
    attention itself, which the approximation tends to and which is cheaper there.

    Args:
        query, key, value, mask, query_mask, offsets, key_offsets, scale, conv_weight: as in `softmax_attention`.
        num_landmarks: M, at least 1.
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
        ValueError: shapes that do not fit, num_landmarks < 1, pinv_iterations out of bounds, or another implementation.
        NysformerError: `torch.jit.trace` is running, which would record this length only.

    Source:
        Xiong et al. 2021, equations 9-13.

    Example:
        >>> q, k, v = torch.randn(3, 100, 2, 16).unbind(0)   # packed: 100 tokens, 2 heads of 16
        >>> nystrom_attention(q, k, v, num_landmarks=8, offsets=[0, 30, 100]).shape
        torch.Size([100, 2, 16])
    """
    if num_landmarks < 1:
        raise ValueError(f"num_landmarks is {num_landmarks}: at least 1 is needed")
    check_implementation(implementation)
    attend = partial(
        _nystrom,
        num_landmarks=num_landmarks,
        scale=scale,
        pinv_iterations=pinv_iterations,
        per_head_start=per_head_start,
        softmax_max_length=softmax_max_length,
        conv_weight=conv_weight,
        dropout_p=dropout_p,
        implementation=implementation,
    )
    return _dispatch(attend, query, key, value, mask, query_mask, offsets, key_offsets)


def landmark_inverse(
    query_landmarks: Tensor, key_landmarks: Tensor, scale: float, pinv_iterations: int, per_head_start: bool
) -> Tensor:
    """Z, the iterative inverse of A = softmax(scale * Q~ K~^T): (B, H, M, D) twice to (B, H, M, M).

    In float32 at least, also under autocast: in half precision the iteration loses the inverse's cancellations.
    """
    precision = torch.promote_types(query_landmarks.dtype, torch.float32)
    with torch.autocast(query_landmarks.device.type, enabled=False):
        scores = scale * query_landmarks.to(precision) @ key_landmarks.to(precision).transpose(-1, -2)
        return iterative_pinv(scores.softmax(dim=-1), pinv_iterations, per_head_start=per_head_start)


def _dispatch(
    attend: partial[Tensor],
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mask: Tensor | None,
    query_mask: Tensor | None,
    offsets: Offsets | None,
    key_offsets: Offsets | None,
) -> Tensor:
    """Check the shapes, then run `attend` on the dense batch or on each group of the packed one."""
    check_traceable()
    rank = 4 if offsets is None else 3
    if not query.dim() == key.dim() == value.dim() == rank:
        form = "(B, H, N, D) without offsets" if rank == 4 else "(T, H, D) with offsets"
        raise ValueError(
            f"query, key and value are {form}; got {tuple(query.shape)}, {tuple(key.shape)}, {tuple(value.shape)}"
        )
    if key.shape != value.shape or query.shape[-1] != key.shape[-1]:
        raise ValueError(
            "key and value need one shape and query their width; "
            f"got query {tuple(query.shape)}, key {tuple(key.shape)}, value {tuple(value.shape)}"
        )
    if offsets is not None:
        if mask is not None or query_mask is not None:
            raise ValueError("masks belong to the dense form: a packed batch holds real tokens only")
        keys = None if key_offsets is None else as_layout(key_offsets)
        return _packed(attend, query, key, value, as_layout(offsets), keys)
    if key_offsets is not None:
        raise ValueError("key_offsets belong to the packed form: pass offsets too")
    unknown = _unknown(query.shape[2]) or _unknown(key.shape[2])
    if mask is None and unknown:
        mask = torch.ones(key.shape[0], key.shape[2], dtype=torch.bool, device=key.device)
    if query_mask is None and query.shape[2] == key.shape[2]:
        query_mask = mask
    if query_mask is None and unknown:
        query_mask = torch.ones(query.shape[0], query.shape[2], dtype=torch.bool, device=query.device)
    if mask is None and query_mask is None:
        return attend(query, key, value)
    return _masked(attend, query, key, value, mask, query_mask)


def _unknown(length: int) -> bool:
    """Whether a program is being exported that is to read any length: it cannot branch on this one."""
    return isinstance(length, torch.SymInt)


def _packed(
    attend: partial[Tensor], query: Tensor, key: Tensor, value: Tensor, queries: Layout, keys: Layout | None
) -> Tensor:
    """Neighbouring documents of equal length go through the dense form together, as a view of their rows."""
    for name, tensor, layout in (("query", query, queries), ("key", key, keys or queries)):
        if layout.num_tokens != tensor.shape[0]:
            raise ValueError(f"the offsets speak of {layout.num_tokens} tokens, {name} has {tensor.shape[0]}")
    groups = queries.groups(keys)
    # One split, not a slice a group: its backward is one concatenation instead of a full-size gradient a group.
    query_sizes = [count * length for count, length, _ in groups]
    key_sizes = [count * length for count, _, length in groups]
    if not any(length > 0 and key_length > 0 for _, length, key_length in groups):
        return _nothing(query, key, value, attend.keywords["conv_weight"])
    rows = zip(groups, query.split(query_sizes), key.split(key_sizes), value.split(key_sizes), strict=True)
    outputs = []
    for (count, length, key_length), q, k, v in rows:
        if length == 0 or key_length == 0:
            outputs.append(torch.zeros_like(q))
            continue
        q = q.unflatten(0, (count, length)).transpose(1, 2)
        k = k.unflatten(0, (count, key_length)).transpose(1, 2)
        v = v.unflatten(0, (count, key_length)).transpose(1, 2)
        outputs.append(attend(q, k, v).transpose(1, 2).flatten(0, 1))
    return outputs[0] if len(outputs) == 1 else torch.cat(outputs)


def _nothing(query: Tensor, key: Tensor, value: Tensor, conv_weight: Tensor | None) -> Tensor:
    """Zeros in the shape of query, from which every operand gets a gradient of zeros.

    A parameter without a gradient stops data-parallel training, where the other ranks wait for it.
    """
    zeros = query.masked_fill(query.new_ones((), dtype=torch.bool), 0.0)
    for other in (key, value, conv_weight):
        if other is not None:
            zeros = zeros + other[:0].sum()
    return zeros


def _masked(
    attend: partial[Tensor],
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mask: Tensor | None,
    query_mask: Tensor | None,
) -> Tensor:
    """Push every document's real tokens to the left, so that `attend` sees lengths only: holes are closed first.

    No shape depends on the data, so this form can be exported and compiled whole.
    """
    keys = None if mask is None else _left_order(mask)
    if keys is not None:
        key, value = _reorder(key, *keys), _reorder(value, *keys)
    key_lengths = None if keys is None else keys[1]
    if query_mask is None:
        return attend(query, key, value, key_lengths=key_lengths)
    # In self-attention the order and the very lengths are the keys'.
    order, query_lengths = keys if keys is not None and query_mask is mask else _left_order(query_mask)
    query = _reorder(query, order, query_lengths)
    context = attend(query, key, value, query_lengths=query_lengths, key_lengths=key_lengths)
    context = context.gather(2, order.argsort(dim=1)[:, None, :, None].expand_as(context))
    return context.masked_fill(~query_mask.bool()[:, None, :, None], 0.0)


def _left_order(mask: Tensor) -> tuple[Tensor, Tensor]:
    """(B, N) mask to the order that puts real tokens first, each kind in its own order, and the (B,) lengths."""
    mask = mask.bool()
    length = mask.shape[1]
    position = torch.arange(length, device=mask.device)
    return torch.where(mask, position, position + length).argsort(dim=1), mask.sum(dim=1)


def _reorder(x: Tensor, order: Tensor, lengths: Tensor) -> Tensor:
    """Rows of (B, H, N, D) in that order, zeros past each document's length."""
    rows = x.gather(2, order[:, None, :, None].expand_as(x))
    return rows.masked_fill(~_prefix(lengths, x.shape[2])[:, None, :, None], 0.0)


def _prefix(lengths: Tensor, size: int) -> Tensor:
    """(B,) lengths to a (B, size) mask of the first `length` places."""
    return torch.arange(size, device=lengths.device) < lengths[:, None]


def _key_mask(lengths: Tensor | None, size: int) -> Tensor | None:
    """The (B, 1, 1, size) mask over keys, or None where all are real.

    A document without keys sees its first blank: zeros rather than 0 / 0.
    """
    return None if lengths is None else _prefix(lengths.clamp(min=1), size)[:, None, None, :]


def _softmax(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    *,
    query_lengths: Tensor | None = None,
    key_lengths: Tensor | None = None,
    scale: float | None,
    conv_weight: Tensor | None,
    dropout_p: float,
    implementation: Implementation,
) -> Tensor:
    context = scaled_dot_product(
        query,
        key,
        value,
        implementation=implementation,
        mask=_key_mask(key_lengths, key.shape[2]),
        dropout_p=dropout_p,
        scale=scale,
    )
    return context if conv_weight is None else context + _convolved(query, value, conv_weight)


def _nystrom(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    *,
    query_lengths: Tensor | None = None,
    key_lengths: Tensor | None = None,
    num_landmarks: int,
    scale: float | None,
    pinv_iterations: int,
    per_head_start: bool,
    softmax_max_length: int,
    conv_weight: Tensor | None,
    dropout_p: float,
    implementation: Implementation,
) -> Tensor:
    exact_length = max(num_landmarks, softmax_max_length)
    exact = partial(_softmax, scale=scale, conv_weight=None, dropout_p=dropout_p, implementation=implementation)
    known = not _unknown(query.shape[2]) and not _unknown(key.shape[2])
    if known and min(query.shape[2], key.shape[2]) <= exact_length:
        context = exact(query, key, value, key_lengths=key_lengths)
    else:
        context = _through_landmarks(
            query,
            key,
            value,
            query_lengths,
            key_lengths,
            num_landmarks,
            query.shape[-1] ** -0.5 if scale is None else scale,
            pinv_iterations,
            per_head_start,
            dropout_p,
            implementation,
        )
        if key_lengths is not None:
            # In self-attention the short documents' rows are few as well.
            few = key_lengths.clamp(max=exact_length)
            rows = _resize(query, exact_length) if query_lengths is key_lengths else query
            short = exact(rows, _resize(key, exact_length), _resize(value, exact_length), key_lengths=few)
            short = _resize(short, query.shape[2])
            context = torch.where((key_lengths <= exact_length)[:, None, None, None], short, context)
        if query_lengths is not None and query_lengths is not key_lengths:
            short = exact(_resize(query, exact_length), key, value, key_lengths=key_lengths)
            short = _resize(short, query.shape[2])
            context = torch.where((query_lengths <= exact_length)[:, None, None, None], short, context)
    return context if conv_weight is None else context + _convolved(query, value, conv_weight)


def _resize(x: Tensor, size: int) -> Tensor:
    """(B, H, N, D) to (B, H, size, D): rows past N repeat its last one, for a caller that does not look at them."""
    return x.index_select(2, torch.arange(size, device=x.device).clamp(max=x.shape[2] - 1))


def _through_landmarks(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    query_lengths: Tensor | None,
    key_lengths: Tensor | None,
    num_landmarks: int,
    scale: float,
    pinv_iterations: int,
    per_head_start: bool,
    dropout_p: float,
    implementation: Implementation,
) -> Tensor:
    """F (Z (B V)) for documents longer than M; the (M, M) part in float32 at least."""
    query_landmarks, key_landmarks = (
        segment_means(x, num_landmarks, None if lengths is None else _prefix(lengths, x.shape[2]))
        for x, lengths in ((query, query_lengths), (key, key_lengths))
    )
    inverse = landmark_inverse(query_landmarks, key_landmarks, scale, pinv_iterations, per_head_start)
    if dropout_p > 0.0:
        value = value * F.dropout(value.new_ones(*value.shape[:-1], 1), dropout_p)
    summary = _summarize(query_landmarks, key, value, _key_mask(key_lengths, key.shape[2]), scale, implementation)
    with torch.autocast(query.device.type, enabled=False):
        weighted = (inverse @ summary.to(inverse.dtype)).to(value.dtype)
    return _read(query, key_landmarks, weighted, scale, implementation)


def _summarize(
    query_landmarks: Tensor,
    key: Tensor,
    value: Tensor,
    mask: Tensor | None,
    scale: float,
    implementation: Implementation,
) -> Tensor:
    """softmax(scale * Q~ K^T) V: (B, H, M, D) over (B, H, S, D) twice."""
    if mask is not None or not runs_in_blocks(key):
        return scaled_dot_product(query_landmarks, key, value, implementation=implementation, mask=mask, scale=scale)
    summary = KeySummary(query_landmarks, scale)
    for keys, values in zip(key.split(BLOCK_ROWS, dim=2), value.split(BLOCK_ROWS, dim=2), strict=True):
        summary.add(keys, values)
    return summary.result()


def _read(query: Tensor, key_landmarks: Tensor, values: Tensor, scale: float, implementation: Implementation) -> Tensor:
    """softmax(scale * Q K~^T) W: (B, H, N, D) over (B, H, M, D) twice."""
    if not runs_in_blocks(query):
        return scaled_dot_product(query, key_landmarks, values, implementation=implementation, scale=scale)
    batch, heads, length, _ = query.shape
    # Heads of a token are neighbours, as in the packed batch that this goes back to.
    out = query.new_empty(batch, length, heads, values.shape[-1]).transpose(1, 2)
    for rows, place in zip(query.split(BLOCK_ROWS, dim=2), out.split(BLOCK_ROWS, dim=2), strict=True):
        place.copy_(read_landmarks(rows, key_landmarks, values, scale))
    return out


def _convolved(query: Tensor, value: Tensor, conv_weight: Tensor) -> Tensor:
    if query.shape[2] != value.shape[2]:
        raise ValueError(
            f"a convolution of the values needs as many queries as keys; got {query.shape[2]} and {value.shape[2]}"
        )
    return depthwise_convolution(value, conv_weight)
