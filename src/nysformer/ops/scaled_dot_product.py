"""Softmax attention of one pair of operands: torch's fused kernel, or plain products that differentiate twice.

Shapes: B batch, H heads, N queries, S keys, D head width.
"""

from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor

from nysformer.ops.tracing import is_transformed

__all__ = ["Implementation", "check_implementation", "scaled_dot_product"]

Implementation = Literal["sdpa", "eager"]


def check_implementation(implementation: str) -> None:
    """Refuse a name that is none of `Implementation`.

    Raises:
        ValueError: another name.
    """
    if implementation not in get_args(Implementation):
        raise ValueError(f"implementation is {implementation!r}: choose 'sdpa' or 'eager'")


def scaled_dot_product(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    *,
    implementation: Implementation,
    mask: Tensor | None = None,
    dropout_p: float = 0.0,
    scale: float | None = None,
) -> Tensor:
    """softmax(scale * Q K^T) V.

    Args:
        query: (B, H, N, D).
        key, value: (B, H, S, D).
        implementation: "sdpa" for `torch.nn.functional.scaled_dot_product_attention`, which holds no (N, S) matrix and,
            on a CPU, has no second derivative; "eager" for plain products, which have all derivatives. On a CPU plain
            products run also for "sdpa" while a forward-mode derivative is taken or `torch.func` transforms the call.
        mask: bool, broadcast to (B, H, N, S), True where a key is read. Each query needs one key.
        dropout_p: drops probabilities.
        scale: None for 1 / sqrt(D).

    Returns:
        (B, H, N, D).

    Example:
        >>> q, k, v = torch.randn(3, 1, 2, 5, 4).unbind(0)
        >>> plain, fused = (scaled_dot_product(q, k, v, implementation=name) for name in ("eager", "sdpa"))
        >>> bool((plain - fused).abs().max() < 1e-5)
        True
    """
    if implementation == "sdpa" and not (query.is_cpu and is_transformed()):
        return F.scaled_dot_product_attention(query, key, value, attn_mask=mask, dropout_p=dropout_p, scale=scale)
    scores = (query * (query.shape[-1] ** -0.5 if scale is None else scale)) @ key.transpose(-1, -2)
    if mask is not None:
        scores = scores.masked_fill(~mask, -torch.inf)
    # In float32 at least, as the fused kernel does it.
    probabilities = scores.softmax(dim=-1, dtype=torch.promote_types(scores.dtype, torch.float32))
    return F.dropout(probabilities, dropout_p).to(value.dtype) @ value
