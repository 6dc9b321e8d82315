"""One post-LayerNorm encoder layer. Shapes: B batch, N padded length, T packed tokens, E hidden size, H heads."""

import torch
from torch import Tensor, nn

from nysformer.layers.attention import SelfAttention
from nysformer.layers.feed_forward import Intermediate, ResidualOutput
from nysformer.layers.watched import is_watched
from nysformer.ops import BLOCK_ROWS, Layout, refuse_script, runs_in_blocks

__all__ = ["EncoderLayer"]


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

    def __prepare_scriptable__(self) -> None:
        """Called by `torch.jit.script`; raises NysformerError."""
        refuse_script()

    def forward(
        self,
        hidden: Tensor,
        documents: Layout | Tensor | None,
        head_mask: Tensor | None = None,
        return_map: bool = False,
    ) -> tuple[Tensor, Tensor | None]:
        """(T, E) with its `Layout`, or (B, N, E) with its mask, to the same shape; see `SelfAttention.forward`."""
        if isinstance(documents, Layout) and not return_map and runs_in_blocks(hidden) and self._is_open():
            return self._in_blocks(hidden, documents, head_mask), None
        attended, attention_map = self.attention(hidden, documents, head_mask, return_map)
        return self.feed_forward(attended), attention_map

    def feed_forward(self, attended: Tensor) -> Tensor:
        """(..., E) to (..., E), each token by itself, `chunk_size_feed_forward` tokens at a time."""
        rows = self.chunk_size_feed_forward
        if rows > 0 and attended.shape[-2] > rows:
            return torch.cat([self.feed_forward(chunk) for chunk in attended.split(rows, dim=-2)], dim=-2)
        return self.output(self.intermediate(attended), attended)

    def _in_blocks(self, hidden: Tensor, layout: Layout, head_mask: Tensor | None) -> Tensor:
        """The whole layer a block of rows at a time: of a long document, only the values and the result are kept."""
        out = torch.empty_like(hidden)
        start = 0
        for context in self.attention.self.blocks(hidden, layout, head_mask):
            for rows in context.split(BLOCK_ROWS):
                place = slice(start, start + len(rows))
                out[place] = self.feed_forward(self.attention.output(rows, hidden[place]))
                start = place.stop
        return out

    def _is_open(self) -> bool:
        """Whether the layer may be run in pieces: no hook inside, and the attention is one that has `blocks`."""
        if type(self.attention) is not AttentionBlock:
            return False
        attention = self.attention.self
        known = isinstance(attention, SelfAttention) and type(attention).forward is SelfAttention.forward
        return known and not is_watched(*self.children())
