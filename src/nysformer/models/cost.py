"""What one document costs a model, by its configuration alone."""

from __future__ import annotations

from dataclasses import dataclass

from nysformer.models.configuration import NystromformerConfig
from nysformer.ops import BLOCK_ROWS, pays_to_stream

__all__ = ["Cost", "document_cost"]

# Products of (m, m) matrices in a step of the iterative inverse.
_PRODUCTS_A_STEP = 4


@dataclass(frozen=True)
class Cost:
    """A forward pass of the encoder over one document, without gradients.

    Attributes:
        tokens: of the document.
        attention: "softmax", "landmarks", or "landmarks and softmax" where layers differ.
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
    size = config.hidden_size
    head = size // config.num_attention_heads
    dense = attention = memory = 0
    forms = set()
    for layer in range(config.num_hidden_layers):
        heads = len(config.heads_left(layer))
        width = heads * head
        spec = config.nystrom_spec(layer)
        dense += 4 * tokens * size * width + 2 * tokens * size * config.intermediate_size
        attention += tokens * width * (config.conv_kernel_size or 0)
        # Hidden states in and out and the values, the widened rows of a block; queries, keys and context whole as well,
        # or of one block of a long document. Then the landmarks' square matrices.
        block = min(tokens, BLOCK_ROWS)
        floats = 3 * size * tokens + block * config.intermediate_size
        if spec is None or spec.is_exact(tokens):
            forms.add("softmax")
            attention += 2 * tokens * tokens * width
            floats += 3 * size * tokens
        else:
            forms.add("landmarks")
            landmarks = spec.num_landmarks
            inverse = heads * _PRODUCTS_A_STEP * spec.pinv_iterations * landmarks**3
            attention += 4 * tokens * landmarks * width + 2 * landmarks**2 * width + inverse
            floats += 3 * config.num_attention_heads * landmarks**2
            if spec.landmarks == "segments":
                floats += 3 * size * block
            else:  # whose steps read all queries and keys again
                attention += 2 * spec.landmark_steps * tokens * landmarks * width
                whole = 0 if pays_to_stream(spec, tokens) else 3  # context, and values in and out of the convolution
                floats += size * ((2 + whole) * tokens + block)
        memory = max(memory, 4 * floats)
    return Cost(
        tokens=tokens,
        attention=" and ".join(sorted(forms)),
        flops=2 * (dense + attention),
        attention_share=attention / (dense + attention),
        memory=memory,
    )
