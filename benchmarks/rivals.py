"""Other attentions of less than quadratic cost that need no training, inside transformers' BERT.

MonarchAttention: arXiv 2505.18698. LSG (local, sparse, global): arXiv 2210.15497.
Shapes: B batch, H heads, N tokens, D head size; N is a multiple of the blocks.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import AttentionInterface, BertModel

from nysformer.errors import NysformerError
from nysformer.models import NystromformerModel
from nysformer.models.inputs import FIRST_POSITION

__all__ = ["RIVALS", "RIVAL_BLOCK", "lsg_attention", "monarch_attention", "rival"]

RIVAL_BLOCK = 128
_NEAR, _GROUP = 2, 2


def monarch_attention(query: Tensor, key: Tensor, value: Tensor, *, block: int | None = None, steps: int = 2) -> Tensor:
    """softmax(query key') value, where the softmax is sought among Monarch matrices, (B, H, N, D).

    Such a matrix is L[j, l, k] R[k, j, i] for query l b + j and key k b + i in blocks of b. Each step maximizes what
    the softmax itself maximizes, the mean score plus the entropy, over R and then over L.

    Args:
        query, key, value: (B, H, N, D), queries scaled.
        block: b; None for the power of two nearest to sqrt(N).
        steps: of the alternation.

    Raises:
        NysformerError: N is no multiple of the block.
    """
    length = query.shape[2]
    size = block or 2 ** round((length.bit_length() - 1) / 2)
    _check(length, size)
    queries, keys, values = (x.unflatten(2, (-1, size)) for x in (query, key, value))  # (B, H, blocks, b, D)
    count = queries.shape[2]
    left = torch.eye(count, dtype=query.dtype).expand(*query.shape[:2], size, count, count)  # [j, k, l]
    right = query.new_empty(0)
    for _ in range(steps):
        mass = left.sum(dim=-1)
        mean = torch.einsum("bhjkl,bhljd->bhkjd", left, queries) / mass.transpose(2, 3)[..., None].clamp(min=1e-12)
        right = torch.einsum("bhkjd,bhkid->bhkji", mean, keys).softmax(dim=-1)
        seen = torch.einsum("bhkji,bhkid->bhjkd", right, keys)
        entropy = -torch.xlogy(right, right).sum(dim=-1).transpose(2, 3)
        scores = torch.einsum("bhljd,bhjkd->bhjkl", queries, seen) + entropy[..., None]
        left = scores.softmax(dim=-2)
    read = torch.einsum("bhkji,bhkid->bhkjd", right, values)
    return torch.einsum("bhjkl,bhkjd->bhljd", left, read).flatten(2, 3)


def lsg_attention(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Attention to the first token, three blocks of 128 tokens and, in pairs, two more on each side, (B, H, N, D).

    The first token sees all. A pair's key and value are the means of its tokens'.

    Args:
        query, key, value: (B, H, N, D), queries scaled.

    Raises:
        NysformerError: N is no multiple of the block.
    """
    length = query.shape[2]
    _check(length, RIVAL_BLOCK)
    count = length // RIVAL_BLOCK
    real = torch.ones(1, 1, length, 1, dtype=query.dtype)

    def around(x: Tensor, size: int, offsets: list[int]) -> Tensor:
        """(B, H, count, offsets * size, ...): the blocks at these offsets, zero beyond the ends."""
        reach = max(map(abs, offsets))
        blocks = F.pad(x.unflatten(2, (count, size)), (0, 0, 0, 0, reach, reach))
        return torch.cat([blocks[:, :, reach + offset : reach + offset + count] for offset in offsets], dim=3)

    far = [offset for offset in range(-1 - _NEAR, 2 + _NEAR) if abs(offset) > 1]

    def seen(x: Tensor) -> Tensor:
        pairs = x.unflatten(2, (-1, _GROUP)).mean(dim=3)
        first = x[:, :, None, :1].expand(-1, -1, count, -1, -1)
        return torch.cat([first, around(x, RIVAL_BLOCK, [-1, 0, 1]), around(pairs, RIVAL_BLOCK // _GROUP, far)], dim=3)

    there = seen(real)[..., 0] > 0
    twice = torch.zeros_like(there)  # the first token, where it is in the blocks around, too
    for number in range(count):
        own = [place for place, offset in enumerate([-1, 0, 1]) if number + offset == 0]
        for place in own:
            twice[:, :, number, 1 + place * RIVAL_BLOCK] = True
    scores = query.unflatten(2, (count, RIVAL_BLOCK)) @ seen(key).transpose(-1, -2)
    scores = scores.masked_fill(~(there & ~twice)[..., None, :], torch.finfo(scores.dtype).min)
    out = (scores.softmax(dim=-1) @ seen(value)).flatten(2, 3)
    whole = (query[:, :, :1] @ key.transpose(-1, -2)).softmax(dim=-1) @ value
    return torch.cat([whole, out[:, :, 1:]], dim=2)


RIVALS = {"Monarch": monarch_attention, "LSG": lsg_attention}


def rival(name: str, bert: BertModel, encoder: NystromformerModel) -> BertModel:
    """A BERT with one of `RIVALS` in place of its attention, and the positions of the encoder that was made of it."""
    attention = RIVALS[name]

    def forward(
        module: Any, query: Tensor, key: Tensor, value: Tensor, attention_mask: Any, *, scaling: float, **_: Any
    ) -> tuple[Tensor, None]:
        return attention(query * scaling, key, value).transpose(1, 2), None

    implementation = f"nysformer-benchmark-{name.lower()}"
    AttentionInterface.register(implementation, forward)
    table = encoder.embeddings.position_embeddings
    assert table is not None
    positions = table.weight.detach()[FIRST_POSITION:]
    config = type(bert.config).from_dict({**bert.config.to_dict(), "max_position_embeddings": len(positions)})
    config._attn_implementation = implementation
    made = BertModel(config, add_pooling_layer=False).eval()
    weights = {key: value for key, value in bert.state_dict().items() if not key.startswith("pooler.")}
    weights["embeddings.position_embeddings.weight"] = positions
    made.load_state_dict(weights, strict=False)
    return made


def _check(length: int, block: int) -> None:
    if length % block:
        raise NysformerError(f"{length} tokens are no multiple of blocks of {block}; give another length")
