"""The paper's small model for the Long Range Arena, from this library's attention.

Shapes: K documents, T packed tokens of all of them, E width, V vocabulary, C classes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.lra.dropout import Dropout
from nysformer.layers import SelfAttention, project
from nysformer.ops import Layout, NystromSpec

__all__ = ["CONVOLUTION", "Attention", "Classifier", "ModelSize", "Pooling"]

CONVOLUTION = 35

Attention = Literal["nystrom", "softmax"]
Pooling = Literal["mean", "padded", "first"]


@dataclass(frozen=True, slots=True)
class ModelSize:
    """The paper's size, with which both attentions run.

    Attributes:
        vocabulary: V, of the task.
        positions: the longest document's tokens.
        attention: through landmarks, or softmax at every length.
        convolution: size of the kernel, odd; None for none.
        pooling: "mean" over a document's tokens; "padded", its sum over `positions`, which is the mean that the paper's
            code takes of padded documents; "first", the first token's state.
    """

    vocabulary: int
    positions: int
    classes: int = 10
    attention: Attention = "nystrom"
    landmarks: int = 128
    convolution: int | None = CONVOLUTION
    pooling: Pooling = "mean"
    layers: int = 2
    width: int = 64
    heads: int = 2
    feed_forward: int = 128
    dropout: float = 0.1


class Block(nn.Module):
    """Attention and feed-forward, each on the normalised input and added to it: (T, E) to (T, E)."""

    def __init__(self, size: ModelSize) -> None:
        super().__init__()
        softmax = size.attention == "softmax"
        self.attention_norm = nn.LayerNorm(size.width)
        self.attention = SelfAttention(
            size.width,
            size.heads,
            size.width // size.heads,
            None if softmax else NystromSpec(num_landmarks=size.landmarks),
            conv_kernel_size=size.convolution,
            # Through landmarks the paper drops nothing, and dropped probabilities cost softmax its fused kernel.
            dropout=0.0,
        )
        self.attention_output = nn.Linear(size.width, size.width)
        self.feed_forward_norm = nn.LayerNorm(size.width)
        self.widen = nn.Linear(size.width, size.feed_forward)
        self.narrow = nn.Linear(size.feed_forward, size.width)
        self.dropout = Dropout(size.dropout)

    def forward(self, hidden: Tensor, layout: Layout) -> Tensor:
        context, _ = self.attention(self.attention_norm(hidden), layout)
        hidden = hidden + self.dropout(project(self.attention_output, context))
        wide = self.dropout(F.gelu(project(self.widen, self.feed_forward_norm(hidden))))
        return hidden + self.dropout(project(self.narrow, wide))


class Classifier(nn.Module):
    """Embeddings with learned positions, blocks, a last LayerNorm, pooling, and a head with one hidden layer.

    Args:
        size: of the model.

    Example:
        >>> model = Classifier(ModelSize(vocabulary=15, positions=300))
        >>> tokens, layout = torch.randint(15, (500,)), Layout([200, 300])
        >>> model(tokens, layout).shape
        torch.Size([2, 10])
    """

    def __init__(self, size: ModelSize) -> None:
        super().__init__()
        self.size = size
        self.tokens = nn.Embedding(size.vocabulary + 1, size.width)  # one more for the mask of the pretraining
        self.positions = nn.Embedding(size.positions, size.width)
        self.dropout = Dropout(size.dropout)
        self.blocks = nn.ModuleList([Block(size) for _ in range(size.layers)])
        self.norm = nn.LayerNorm(size.width)
        self.hidden = nn.Linear(size.width, size.feed_forward)
        self.output = nn.Linear(size.feed_forward, size.classes)
        for table in (self.tokens, self.positions):
            nn.init.normal_(table.weight, std=0.02)

    @property
    def mask_token(self) -> int:
        """The number of the token that stands for hidden ones."""
        return self.size.vocabulary

    def encode(self, tokens: Tensor, layout: Layout) -> Tensor:
        """(T,) token numbers to (T, E) states."""
        place = torch.cat([torch.arange(length) for length in layout.lengths])
        hidden = self.dropout(self.tokens(tokens) + self.positions(place))
        for block in self.blocks:
            hidden = block(hidden, layout)
        states: Tensor = self.norm(hidden)
        return states

    def forward(self, tokens: Tensor, layout: Layout) -> Tensor:
        """(T,) token numbers to (K, C) logits."""
        states = self.encode(tokens, layout)
        if self.size.pooling == "first":
            pooled = states[list(layout.offsets[:-1])]
        else:
            sums = torch.stack([document.sum(0) for document in states.split(layout.lengths)])
            padded = self.size.pooling == "padded"
            pooled = sums / (self.size.positions if padded else torch.tensor(layout.lengths)[:, None])
        logits: Tensor = self.output(F.relu(self.hidden(pooled)))
        return logits
