"""How a head that reads whole documents makes one feature vector of a document's hidden states.

Shapes: B batch, N padded length, T packed tokens, E hidden size, F features of a document.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from transformers import initialization as init

from nysformer.models.configuration import NystromformerConfig
from nysformer.models.packing import Packing

__all__ = ["FeatureScaling", "LayersName", "Pooling", "PoolingName"]

LayersName = Literal["last", "first+last"]
PoolingName = Literal["first", "mean", "attention"]


class Pooling(nn.Module):
    """One vector per document: its first real token, the mean of all, or a mean with learned weights.

    The weights of "attention" are softmax(states . query / sqrt(E)) over the document's tokens. The query begins at
    zero, which is the mean.

    Args:
        config: `classifier_pooling` chooses.

    Example:
        >>> pooling = Pooling(NystromformerConfig(hidden_size=4, num_attention_heads=2, classifier_pooling="mean"))
        >>> packing = Packing.read(torch.tensor([[1, 1, 0], [0, 0, 0]]), (2, 3))
        >>> pooling(packing.pack(torch.arange(24.0).reshape(2, 3, 4)), packing)
        tensor([[2., 3., 4., 5.],
                [0., 0., 0., 0.]])
    """

    query: nn.Parameter | None

    def __init__(self, config: NystromformerConfig) -> None:
        super().__init__()
        self.kind: PoolingName = config.classifier_pooling
        query = nn.Parameter(torch.zeros(config.hidden_size)) if self.kind == "attention" else None
        self.register_parameter("query", query)

    def reset(self) -> None:
        """Begin as the mean."""
        if self.query is not None:
            init.zeros_(self.query)

    def forward(self, rows: Tensor, packing: Packing) -> Tensor:
        """(B, E): zeros for a document without a token.

        Args:
            rows: (T, E); while recorded (B, N, E), zero at masked places.
            packing: of the rows.
        """
        if self.kind == "first":
            return packing.first_rows(rows)
        return packing.reduce(rows, _mean if self.query is None else self._weighted)

    def _weighted(self, states: Tensor, mask: Tensor | None) -> Tensor:
        """(K, E) of (K, N, E) states of K documents, and (K, N), True where a token is real; None where all are."""
        assert self.query is not None
        precise = states.to(_precise(states))
        scores = (precise @ (self.query.to(precise.dtype) / states.shape[-1] ** 0.5)).to(precise.dtype)
        if mask is not None:
            scores = scores.masked_fill(~mask, torch.finfo(scores.dtype).min)
        weights = scores.softmax(dim=-1)
        if mask is not None:
            weights = weights * mask
        return (weights[:, None] @ precise)[:, 0].to(states.dtype)


class FeatureScaling(nn.Module):
    """(features - mean) * scale, by numbers that are measured and not trained; they begin as 0 and 1.

    It stands before a dropout, which then drops a feature to its mean: where that is many times its spread, zero lies
    far beyond all that the layers behind have seen.

    Args:
        size: F.
    """

    mean: Tensor
    scale: Tensor

    def __init__(self, size: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(size))
        self.register_buffer("scale", torch.ones(size))

    def reset(self) -> None:
        """Begin as the identity."""
        init.zeros_(self.mean)
        init.ones_(self.scale)

    def forward(self, features: Tensor) -> Tensor:
        """(B, F) to (B, F), rounded once."""
        precise = features.to(_precise(features))
        return ((precise - self.mean) * self.scale).to(features.dtype)


def _mean(states: Tensor, mask: Tensor | None) -> Tensor:
    """As `Pooling._weighted`."""
    total = states.sum(dim=1, dtype=_precise(states))
    count = states.shape[1] if mask is None else mask.sum(dim=1, keepdim=True).clamp(min=1)
    return (total / count).to(states.dtype)


def _precise(states: Tensor) -> torch.dtype:
    """float32 at least: sums over a long document exceed the range of float16."""
    return torch.promote_types(states.dtype, torch.float32)
