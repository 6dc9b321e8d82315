"""The way between a padded batch and its packed rows, and the hidden states that heads receive.

Shapes: B batch, N padded length, T packed tokens, E hidden size.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from nysformer.errors import NysformerError
from nysformer.ops import Layout, is_recorded

__all__ = ["PackedStates", "Packing"]


@dataclass(frozen=True)
class Packing:
    """How a padded batch becomes rows, and rows a padded batch.

    The rows are (T, ...), one per real token. While recorded (`is_recorded`), where no shape may depend on data, they
    are the whole batch, (B, N, ...).

    Attributes:
        shape: (B, N).
        mask: (B, N) bool, True where a token is real; None where all are.
        layout: where the real tokens are, one document per row of the batch; None while recorded.
    """

    shape: tuple[int, int]
    mask: Tensor | None
    layout: Layout | None

    @classmethod
    def read(cls, attention_mask: Tensor | None, shape: tuple[int, int]) -> Packing:
        """The packing of a (B, N) batch with that mask.

        Raises:
            NysformerError: a mask of another shape, or with values other than 0 and 1 (an additive one, for instance).
        """
        mask = _read_mask(attention_mask, shape)
        if is_recorded():
            return cls(shape, mask, None)
        layout = Layout.dense(*shape) if mask is None else Layout.from_mask(mask)
        return cls(shape, None if layout.index is None else mask, layout)

    def pack(self, padded: Tensor, fill: float | None = None) -> Tensor:
        """(B, N, ...) to rows. Where a row stands for a masked place it holds `fill`; None leaves it as it is."""
        if self.layout is not None:
            return self.layout.pack(padded)
        return padded if fill is None else self.masked(padded, fill)

    def unpack(self, rows: Tensor, fill: float = 0.0) -> Tensor:
        """Rows to (B, N, ...), with `fill` at masked places."""
        return self.masked(rows, fill) if self.layout is None else self.layout.unpack(rows, fill)

    def masked(self, padded: Tensor, fill: float) -> Tensor:
        """(B, N, ...) with `fill` at masked places."""
        if self.mask is None:
            return padded
        return padded.masked_fill(~self.mask.view(*self.shape, *[1] * (padded.dim() - 2)), fill)

    def first_rows(self, rows: Tensor) -> Tensor:
        """(B, E): each document's first token; its first place for a document without one, zeros where that has no row.

        Args:
            rows: (T, E), or (B, N, E) while recorded.
        """
        if self.layout is None or self.layout.index is None:
            padded = rows if self.layout is None else self.layout.unpack(rows)
            if self.mask is None:
                return padded[:, 0]
            return padded[torch.arange(self.shape[0], device=rows.device), self.mask.to(torch.uint8).argmax(dim=1)]
        bounds, lengths = self.layout.offsets[:-1], self.layout.lengths
        starts = [start for start, tokens in zip(bounds, lengths, strict=True) if tokens > 0]
        first = torch.tensor(starts, dtype=torch.int64, device=rows.device)
        documents = self.layout.index[first] // self.shape[1]
        return rows.new_zeros(self.shape[0], *rows.shape[1:]).index_copy_(0, documents, rows.index_select(0, first))


@dataclass(frozen=True)
class PackedStates:
    """What the backbone hands to a head.

    Attributes:
        rows: the last hidden states, (T, E); while recorded (B, N, E), zero at masked places.
        packing: the way back to the batch.
        hidden_states, attentions: what the caller asked for, as `NystromformerModel.forward` returns it.
    """

    rows: Tensor
    packing: Packing
    hidden_states: tuple[Tensor, ...] | None
    attentions: tuple[Tensor, ...] | None


def _read_mask(attention_mask: Tensor | None, shape: tuple[int, int]) -> Tensor | None:
    """(B, N) bool, or None where there is no mask."""
    if attention_mask is None:
        return None
    if tuple(attention_mask.shape) != shape:
        raise NysformerError(
            f"attention_mask has shape {tuple(attention_mask.shape)}: pass (batch, tokens) = {shape}, True or 1 where "
            "a token is real"
        )
    mask = attention_mask.bool()
    if (
        attention_mask.dtype != torch.bool
        and not is_recorded()
        and not torch.equal(mask.to(attention_mask.dtype), attention_mask)
    ):
        raise NysformerError("attention_mask holds values other than 0 and 1: pass 1 where a token is real, else 0")
    return mask
