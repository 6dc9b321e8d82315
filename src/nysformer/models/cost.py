"""What one document costs a model, by its configuration alone."""

from __future__ import annotations

from dataclasses import dataclass

from nysformer.models.configuration import NystromformerConfig
from nysformer.ops import BLOCK_ROWS

__all__ = ["Cost", "document_cost"]

# Products of (m, m) matrices in a step of the iterative inverse.
_PRODUCTS_A_STEP = 4


@dataclass(frozen=True)
class Cost:
    """A forward pass of the encoder over one document, without gradients.

    Attributes:
        tokens: of the document.
        attention: "softmax" or "landmarks".
        flops: multiplications and additions of all matrix products and convolutions.
        attention_share: the part of them that attention itself takes, between 0 and 1; projections not counted.
        memory: bytes of activations at the fullest moment, in float32; the weights come on top.
    """

    tokens: int
    attention: str
    flops: int
    attention_share: float
    memory: int


def document_cost(config: NystromformerConfig, tokens: int) -> Cost:
    """Count what a document of that many tokens costs, whether or not the position table reaches so far.

    Example:
        >>> config = NystromformerConfig(hidden_size=64, num_attention_heads=2, num_landmarks=32)
        >>> long, longer = (document_cost(config, tokens) for tokens in (100_000, 200_000))
        >>> round(longer.flops / long.flops, 2)
        2.0
    """
    mode = config.resolved_attention_mode
    landmarks = config.num_landmarks
    exact = max(landmarks, config.softmax_max_length if mode == "auto" else 0)
    softmax = mode == "softmax" or tokens <= exact
    size = config.hidden_size
    head = size // config.num_attention_heads
    dense = attention = 0
    for layer in range(config.num_hidden_layers):
        heads = len(config.heads_left(layer))
        width = heads * head
        dense += 4 * tokens * size * width + 2 * tokens * size * config.intermediate_size
        attention += tokens * width * (config.conv_kernel_size or 0)
        if softmax:
            attention += 2 * tokens * tokens * width
        else:
            inverse = heads * _PRODUCTS_A_STEP * config.pinv_iterations * landmarks**3
            attention += 4 * tokens * landmarks * width + 2 * landmarks**2 * width + inverse
    # Hidden states in and out and the values; queries, keys and context whole as well, or of one block of a long
    # document. Then the widened rows of a block, and the landmarks' square matrices.
    block = min(tokens, BLOCK_ROWS)
    floats = 3 * size * (tokens + (tokens if softmax else block)) + block * config.intermediate_size
    if not softmax:
        floats += 3 * config.num_attention_heads * landmarks**2
    return Cost(
        tokens=tokens,
        attention="softmax" if softmax else "landmarks",
        flops=2 * (dense + attention),
        attention_share=attention / (dense + attention),
        memory=4 * floats,
    )
