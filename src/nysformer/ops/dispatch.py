"""From dense, masked or packed operands to whole documents, on which attention itself is defined.

Shapes: B batch, H heads, N queries, S keys, D head width, T packed query tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor

from nysformer.ops.layout import Layout, as_layout
from nysformer.ops.tracing import check_traceable

__all__ = ["Attend", "Offsets", "dispatch", "is_unknown", "prefix_mask"]

Offsets = Layout | Sequence[int] | Tensor


class Attend(Protocol):
    """Attention within documents (B, H, N, D), of which the first `lengths` (B,) tokens are real; None: all are."""

    def __call__(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        *,
        query_lengths: Tensor | None = None,
        key_lengths: Tensor | None = None,
    ) -> Tensor: ...


def dispatch(
    attend: Attend,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    *,
    mask: Tensor | None,
    query_mask: Tensor | None,
    offsets: Offsets | None,
    key_offsets: Offsets | None,
    conv_weight: Tensor | None,
) -> Tensor:
    """Check the shapes, then run `attend` on the dense batch or on each group of the packed one.

    Args:
        attend: attention within whole documents.
        query, key, value, mask, query_mask, offsets, key_offsets: as in `softmax_attention`.
        conv_weight: what `attend` convolves with, which gets a gradient of zeros where there is no token.

    Raises:
        ValueError: shapes that do not fit.
        NysformerError: `torch.jit.trace` is running.
    """
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
        return _packed(attend, query, key, value, as_layout(offsets), keys, conv_weight)
    if key_offsets is not None:
        raise ValueError("key_offsets belong to the packed form: pass offsets too")
    unknown = is_unknown(query.shape[2]) or is_unknown(key.shape[2])
    if mask is None and unknown:
        mask = torch.ones(key.shape[0], key.shape[2], dtype=torch.bool, device=key.device)
    if query_mask is None and query.shape[2] == key.shape[2]:
        query_mask = mask
    if query_mask is None and unknown:
        query_mask = torch.ones(query.shape[0], query.shape[2], dtype=torch.bool, device=query.device)
    if mask is None and query_mask is None:
        return attend(query, key, value)
    return _masked(attend, query, key, value, mask, query_mask)


def is_unknown(length: int) -> bool:
    """Whether a program is being exported that is to read any length: it cannot branch on this one."""
    return isinstance(length, torch.SymInt)


def _packed(
    attend: Attend,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    queries: Layout,
    keys: Layout | None,
    conv_weight: Tensor | None,
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
        return _nothing(query, key, value, conv_weight)
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
    attend: Attend,
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
    return rows.masked_fill(~prefix_mask(lengths, x.shape[2])[:, None, :, None], 0.0)


def prefix_mask(lengths: Tensor, size: int) -> Tensor:
    """(B,) lengths to a (B, size) mask of the first `length` places."""
    return torch.arange(size, device=lengths.device) < lengths[:, None]
