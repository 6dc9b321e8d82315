"""Token, position and token-type embeddings. Shapes: (...) any leading shape, packed (T,) as a rule; E hidden size."""

from torch import Tensor, nn

from nysformer.layers.dropout import Dropout
from nysformer.layers.watched import is_watched
from nysformer.ops import BLOCK_ROWS, runs_in_blocks

__all__ = ["Embeddings", "table_rows"]


def table_rows(table: nn.Module | None) -> int | None:
    """Rows of an embedding table, also of one that an adapter wraps; None where there is no table, or it cannot say.

    Example:
        >>> table_rows(nn.Embedding(10, 4))
        10
    """
    rows = getattr(table, "num_embeddings", None)
    if rows is None:
        shape = getattr(getattr(table, "weight", None), "shape", None)
        rows = shape[0] if shape else None
    return rows


class Embeddings(nn.Module):
    """The sum of the three embeddings, normalised.

    Args:
        vocab_size, hidden_size, type_vocab_size: table sizes.
        num_positions: rows of the position table; None for no positions at all.
        padding_idx: the row of the padding token, zero at init and without gradient; None for no such row.
        layer_norm_eps, dropout: as named.

    Example:
        >>> import torch
        >>> embeddings = Embeddings(10, 4, 2, num_positions=6, padding_idx=1, layer_norm_eps=1e-5, dropout=0.0)
        >>> ids = torch.tensor([3, 4])
        >>> embeddings(ids, token_type_ids=torch.zeros_like(ids), position_ids=ids).shape
        torch.Size([2, 4])
    """

    def __init__(
        self,
        vocab_size: int,
        hidden_size: int,
        type_vocab_size: int,
        *,
        num_positions: int | None,
        padding_idx: int | None,
        layer_norm_eps: float,
        dropout: float,
    ) -> None:
        super().__init__()
        self.word_embeddings = nn.Embedding(vocab_size, hidden_size, padding_idx=padding_idx)
        self.position_embeddings = None if num_positions is None else nn.Embedding(num_positions, hidden_size)
        self.token_type_embeddings = nn.Embedding(type_vocab_size, hidden_size)
        self.LayerNorm = nn.LayerNorm(hidden_size, eps=layer_norm_eps)
        self.dropout = Dropout(dropout)

    def forward(
        self,
        input_ids: Tensor | None,
        *,
        token_type_ids: Tensor,
        position_ids: Tensor,
        inputs_embeds: Tensor | None = None,
    ) -> Tensor:
        """(...) ids, or (..., E) `inputs_embeds` in place of the token embeddings, to (..., E)."""
        in_blocks = position_ids.dim() == 1 and runs_in_blocks(self.LayerNorm.weight)
        if not in_blocks or len(position_ids) <= BLOCK_ROWS or is_watched(*self.children()):
            return self._embed(input_ids, token_type_ids, position_ids, inputs_embeds)
        out = self.LayerNorm.weight.new_empty(len(position_ids), len(self.LayerNorm.weight))
        given = (input_ids, token_type_ids, position_ids, inputs_embeds)
        for start in range(0, len(out), BLOCK_ROWS):
            block = slice(start, start + BLOCK_ROWS)
            out[block] = self._embed(*(None if x is None else x[block] for x in given))
        return out

    def _embed(
        self,
        input_ids: Tensor | None,
        token_type_ids: Tensor | None,
        position_ids: Tensor | None,
        inputs_embeds: Tensor | None,
    ) -> Tensor:
        total = self.word_embeddings(input_ids) if inputs_embeds is None else inputs_embeds
        total = total + self.token_type_embeddings(token_type_ids)
        if self.position_embeddings is not None:
            total = total + self.position_embeddings(position_ids)
        return self.dropout(self.LayerNorm(total))
