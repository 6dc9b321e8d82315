"""Converts a padded batch to packed rows and back, and holds the packed hidden states that heads receive.

Shapes: B batch, N padded length, T packed tokens, E hidden size.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from nysformer.errors import NysformerError
from nysformer.ops import Layout, is_recorded

__all__ = ["PackedStates", "Packing"]


@dataclass(frozen=True)
class Packing:
    """Converts a padded batch to rows and back.

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
        """(B, N, ...) to rows. While recorded, masked places get `fill`; None leaves them as they are."""
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
        """(B, E): each document's first real token, zeros for a document without one.

        Args:
            rows: (T, E); while recorded (B, N, E), zero at masked places.
        """
        if self.mask is None:
            return self.unpack(rows)[:, 0]
        if self.layout is None:
            first = self.mask.to(torch.uint8).argmax(dim=1)
            return rows[torch.arange(self.shape[0], device=rows.device), first]
        starts = [start for start, tokens in zip(self.layout.offsets, self.layout.lengths, strict=False) if tokens > 0]
        first = torch.tensor(starts, dtype=torch.int64, device=rows.device)
        return self._by_document(rows.index_select(0, first), first)

    def reduce(self, rows: Tensor, function: Callable[[Tensor, Tensor | None], Tensor]) -> Tensor:
        """(B, E): what a function makes of the tokens of each document, zeros for a document without one.

        Args:
            rows: (T, E); while recorded (B, N, E), zero at masked places.
            function: (K, N, E) of K documents, and (K, N), True where a token is real, or None where all are, to
                (K, E). A document without a token, which is all False, gives zeros.
        """
        if self.mask is None:
            return function(self.unpack(rows), None)
        if self.layout is None:
            return function(rows, self.mask)
        results = [function(rows[:0].unflatten(0, (0, 1)), None)]  # what there is where no document has a token
        starts: list[int] = []
        start = 0
        for documents, tokens, _ in self.layout.groups():
            if tokens == 0:
                continue
            end = start + documents * tokens
            results.append(function(rows[start:end].unflatten(0, (documents, tokens)), None))
            starts.extend(range(start, end, tokens))
            start = end
        return self._by_document(torch.cat(results), torch.tensor(starts, dtype=torch.int64, device=rows.device))

    def _by_document(self, found: Tensor, starts: Tensor) -> Tensor:
        """(B, E), of what was found for the documents whose first rows these are; zeros for the others."""
        assert self.layout is not None
        assert self.layout.index is not None  # there is a mask
        documents = self.layout.index[starts] // self.shape[1]
        return found.new_zeros(self.shape[0], *found.shape[1:]).index_copy_(0, documents, found)


@dataclass(frozen=True)
class PackedStates:
    """The backbone's output, as heads receive it.

    Attributes:
        rows: the last hidden states, (T, E); while recorded (B, N, E), zero at masked places.
        packing: how to unpack them.
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
