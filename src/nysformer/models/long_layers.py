"""Sends each document of a batch through the layers that are meant for its length.

Shapes: B batch, N padded length, T packed tokens, E hidden size, H heads.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor

from nysformer.ops import Layout

__all__ = ["Route"]

Layer = Callable[[Tensor, Layout | Tensor | None, Tensor | None, bool], tuple[Tensor, Tensor | None]]


@dataclass(frozen=True)
class Route:
    """Which documents of a batch are long, that is, of more tokens than softmax attention reads.

    Attributes:
        documents: the batch, see `EncoderInputs.documents`.
        all_long: whether every document is long.
        parts: the packed rows of short and of long documents and their layouts; None where the batch has one kind only,
            or is not packed.
        back: (T,) int64, where each packed row stands in the short ones followed by the long ones.
        is_long: (B,) bool of a batch that is not packed; None where every document is short.
    """

    documents: Layout | Tensor | None
    all_long: bool = False
    parts: tuple[tuple[Tensor, Layout], tuple[Tensor, Layout]] | None = None
    back: Tensor | None = None
    is_long: Tensor | None = None

    @classmethod
    def plan(cls, documents: Layout | Tensor | None, hidden: Tensor, exact_length: int | None) -> Route:
        """Find the long documents.

        Args:
            documents: the `Layout` of packed rows, or the (B, N) mask of a dense batch, or None for one without.
            hidden: (T, E) or (B, N, E).
            exact_length: tokens of the longest short document; None where every document is short.
        """
        if exact_length is None:
            return cls(documents)
        if not isinstance(documents, Layout):
            batch, length = hidden.shape[:2]
            if not isinstance(cast(object, length), torch.SymInt) and length <= exact_length:
                return cls(documents)
            mask = hidden.new_ones(batch, length, dtype=torch.bool) if documents is None else documents
            return cls(documents, is_long=mask.sum(dim=1) > exact_length)
        kinds = [length > exact_length for length in documents.lengths]
        if not any(kinds):
            return cls(documents)
        if all(kinds):
            return cls(documents, all_long=True)
        rows = torch.arange(len(hidden), device=hidden.device)
        parts = rows.split(documents.lengths)
        short, long = (
            torch.cat([part for part, is_long in zip(parts, kinds, strict=True) if is_long == kind])
            for kind in (False, True)
        )
        return cls(
            documents,
            parts=((short, _only(documents, kinds, short, False)), (long, _only(documents, kinds, long, True))),
            back=torch.cat([short, long]).argsort(),
        )

    def run(
        self, layer: Layer, long_layer: Layer, hidden: Tensor, head_mask: Tensor | None, return_map: bool
    ) -> tuple[Tensor, Tensor | None]:
        """One layer of either kind over the batch; see `EncoderLayer.forward`."""
        if self.is_long is not None:
            outputs, _ = layer(hidden, self.documents, head_mask, return_map)
            long_outputs, _ = long_layer(hidden, self.documents, head_mask, return_map)
            return torch.where(self.is_long[:, None, None], long_outputs, outputs), None
        if self.parts is None or self.back is None:
            return (long_layer if self.all_long else layer)(hidden, self.documents, head_mask, return_map)
        (short, short_map), (long, long_map) = (
            each(hidden.index_select(0, rows), layout, head_mask, return_map)
            for each, (rows, layout) in zip((layer, long_layer), self.parts, strict=True)
        )
        # Documents of the other kind are empty in either map: zeros.
        both = None if short_map is None or long_map is None else short_map + long_map
        return torch.cat([short, long]).index_select(0, self.back), both


def _only(layout: Layout, kinds: list[bool], rows: Tensor, kind: bool) -> Layout:
    """The layout of the documents of one kind, in the same padded batch; the others are empty in it."""
    lengths = [length if each == kind else 0 for length, each in zip(layout.lengths, kinds, strict=True)]
    return Layout(lengths, shape=layout.shape, index=rows if layout.index is None else layout.index[rows])
