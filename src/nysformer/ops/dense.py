"""Attention within whole documents: softmax, or through landmarks.

Shapes: B documents, H heads, N queries, S keys, D head width, M landmarks. Where documents have fewer real tokens than
the tensors have rows, those come first, and their numbers are `query_lengths` and `key_lengths`, (B,).
"""

from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from nysformer.ops.blocks import BLOCK_ROWS, runs_in_blocks
from nysformer.ops.convolution import depthwise_convolution
from nysformer.ops.dispatch import is_unknown, prefix_mask
from nysformer.ops.landmark_state import LandmarkState
from nysformer.ops.scaled_dot_product import Implementation, scaled_dot_product
from nysformer.ops.spec import NystromSpec

__all__ = ["nystrom", "softmax"]


def _key_mask(lengths: Tensor | None, size: int) -> Tensor | None:
    """The (B, 1, 1, size) mask over keys, or None where all are real.

    A document without keys sees its first blank: zeros rather than 0 / 0.
    """
    return None if lengths is None else prefix_mask(lengths.clamp(min=1), size)[:, None, None, :]


def softmax(
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
    """Softmax attention plus the convolution of the values."""
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


def nystrom(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    *,
    query_lengths: Tensor | None = None,
    key_lengths: Tensor | None = None,
    spec: NystromSpec,
    conv_weight: Tensor | None,
    dropout_p: float,
    implementation: Implementation,
) -> Tensor:
    """Attention through landmarks of documents that are long enough for it, softmax attention of the others."""
    exact = partial(softmax, scale=spec.scale, conv_weight=None, dropout_p=dropout_p, implementation=implementation)
    known = not is_unknown(query.shape[2]) and not is_unknown(key.shape[2])
    if known and spec.is_exact(query.shape[2], key.shape[2]):
        context = exact(query, key, value, key_lengths=key_lengths)
    else:
        context = _through_landmarks(query, key, value, query_lengths, key_lengths, spec, dropout_p, implementation)
        exact_length = spec.exact_length
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
    spec: NystromSpec,
    dropout_p: float,
    implementation: Implementation,
) -> Tensor:
    """F (Z (B V)): in pieces of `BLOCK_ROWS` where that is the faster form, whole elsewhere."""
    query_mask, key_mask = (
        None if lengths is None else prefix_mask(lengths, x.shape[2])
        for x, lengths in ((query, query_lengths), (key, key_lengths))
    )
    state = LandmarkState.means(
        query, key, spec, query_mask=query_mask, key_mask=key_mask, implementation=implementation
    )
    if dropout_p > 0.0:
        value = value * F.dropout(value.new_ones(*value.shape[:-1], 1), dropout_p)
    if key_lengths is not None or not runs_in_blocks(key):
        state.add(key, value, _key_mask(key_lengths, key.shape[2]))
    else:
        for keys, values in zip(key.split(BLOCK_ROWS, dim=2), value.split(BLOCK_ROWS, dim=2), strict=True):
            state.add(keys, values)
    state.solve()
    if not runs_in_blocks(query):
        return state.read(query)
    batch, heads, length, _ = query.shape
    # Heads of a token are neighbours, as in the packed batch that this goes back to.
    out = query.new_empty(batch, length, heads, value.shape[-1]).transpose(1, 2)
    for rows, place in zip(query.split(BLOCK_ROWS, dim=2), out.split(BLOCK_ROWS, dim=2), strict=True):
        place.copy_(state.read(rows))
    return out


def _convolved(query: Tensor, value: Tensor, conv_weight: Tensor) -> Tensor:
    if query.shape[2] != value.shape[2]:
        raise ValueError(
            f"a convolution of the values needs as many queries as keys; got {query.shape[2]} and {value.shape[2]}"
        )
    return depthwise_convolution(value, conv_weight)
