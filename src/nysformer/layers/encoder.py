"""One post-LayerNorm encoder layer. Shapes: B batch, N padded length, T packed tokens, E hidden size, H heads."""

import torch
from torch import Tensor, nn

from nysformer.layers.attention import SelfAttention
from nysformer.layers.feed_forward import Intermediate, ResidualOutput
from nysformer.ops import Layout

__all__ = ["INFERENCE_ROWS", "EncoderLayer"]

# Without gradients the feed-forward block takes this many tokens at a time: its widened rows then stay in the
# processor's cache, and the allocator hands the same memory out again instead of fresh pages.
INFERENCE_ROWS = 512


class AttentionBlock(nn.Module):
    """Self-attention and its output projection, under the checkpoint's names `self` and `output`."""

    def __init__(self, attention: SelfAttention, output: ResidualOutput) -> None:
        super().__init__()
        self.self = attention
        self.output = output

    def forward(
        self, hidden: Tensor, documents: Layout | Tensor | None, head_mask: Tensor | None, return_map: bool
    ) -> tuple[Tensor, Tensor | None]:
        context, attention_map = self.self(hidden, documents, head_mask, return_map)
        return self.output(context, hidden), attention_map


class EncoderLayer(nn.Module):
    """Attention, then the feed-forward block, each with its residual and LayerNorm.

    Args:
        attention: the self-attention of this layer.
        attention_output: its output projection.
        intermediate, output: the two halves of the feed-forward block.
        chunk_size_feed_forward: tokens the feed-forward block takes at a time; 0 for all at once.
    """

    def __init__(
        self,
        attention: SelfAttention,
        attention_output: ResidualOutput,
        intermediate: Intermediate,
        output: ResidualOutput,
        *,
        chunk_size_feed_forward: int = 0,
    ) -> None:
        super().__init__()
        self.attention = AttentionBlock(attention, attention_output)
        self.intermediate = intermediate
        self.output = output
        self.chunk_size_feed_forward = chunk_size_feed_forward

    def forward(
        self,
        hidden: Tensor,
        documents: Layout | Tensor | None,
        head_mask: Tensor | None = None,
        return_map: bool = False,
    ) -> tuple[Tensor, Tensor | None]:
        """(T, E) with its `Layout`, or (B, N, E) with its mask, to the same shape; see `SelfAttention.forward`."""
        attended, attention_map = self.attention(hidden, documents, head_mask, return_map)
        inference = not torch.is_grad_enabled() and not torch.compiler.is_compiling()
        rows = self.chunk_size_feed_forward or (INFERENCE_ROWS if inference else 0)
        if rows == 0 or attended.shape[-2] <= rows:
            return self.feed_forward(attended), attention_map
        chunks = attended.split(rows, dim=-2)
        if not inference:
            return torch.cat([self.feed_forward(chunk) for chunk in chunks], dim=-2), attention_map
        out = torch.empty_like(attended)  # filled chunk by chunk: a list of them would hold the result twice
        for chunk, place in zip(chunks, out.split(rows, dim=-2), strict=True):
            place.copy_(self.feed_forward(chunk))
        return out, attention_map

    def feed_forward(self, attended: Tensor) -> Tensor:
        """(..., E) to (..., E), each token by itself."""
        return self.output(self.intermediate(attended), attended)
