"""Checks what the caller of a model passes, and packs the real tokens. No layer knows about padding.

While the model is exported or transformed (`is_recorded`), values cannot be checked, only shapes. A compiled model
checks its position ids as it runs.

Shapes: B batch, N padded length, T packed tokens, E hidden size.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor

from nysformer.errors import NysformerError
from nysformer.models.packing import Packing
from nysformer.ops import Layout, is_recorded

__all__ = ["EncoderInputs", "check_one_document", "check_tensors"]

# Position ids of a document start here: a published checkpoint's table has two rows before the first token's.
FIRST_POSITION = 2


def check_tensors(**inputs: object) -> None:
    """Refuse arguments that are not tensors; None is passed over.

    Raises:
        NysformerError: the first that is none, by its name.
    """
    for name, value in inputs.items():
        if value is None or isinstance(value, Tensor):
            continue
        kind = type(value).__name__
        if kind == "Proxy":
            raise NysformerError(f"{name} is symbolic: torch.fx.symbolic_trace cannot run this model; use torch.export")
        raise NysformerError(f"{name} is a {kind}: pass a tensor")


@dataclass(frozen=True)
class EncoderInputs:
    """What the embeddings read: packed rows of all real tokens, or the whole batch while recorded.

    Attributes:
        documents: the `Layout` of packed rows, cut where position ids start over; while recorded the (B, N) mask, or
            None.
        packing: how to pack and unpack (B, N).
        input_ids, inputs_embeds: (T,) or (T, E), one of the two; (B, N) or (B, N, E) while recorded.
        position_ids, token_type_ids: as input_ids.
        own_positions: whether the caller gave no position ids.
    """

    documents: Layout | Tensor | None
    packing: Packing
    input_ids: Tensor | None
    inputs_embeds: Tensor | None
    position_ids: Tensor
    token_type_ids: Tensor
    own_positions: bool

    @classmethod
    def read(
        cls,
        input_ids: Tensor | None,
        attention_mask: Tensor | None,
        token_type_ids: Tensor | None,
        position_ids: Tensor | None,
        inputs_embeds: Tensor | None,
    ) -> EncoderInputs:
        """Check shapes and pack. Position ids that start over within a row begin a new document there.

        Raises:
            NysformerError: both or neither of input_ids and inputs_embeds, or a shape that does not fit.
        """
        if (input_ids is None) == (inputs_embeds is None):
            raise NysformerError("pass input_ids or inputs_embeds: one of the two, not both")
        source = input_ids if input_ids is not None else inputs_embeds
        assert source is not None
        rank = 2 if input_ids is not None else 3
        if source.dim() != rank:
            form = "input_ids is (batch, tokens)" if rank == 2 else "inputs_embeds is (batch, tokens, hidden_size)"
            raise NysformerError(f"{form}; got shape {tuple(source.shape)}")
        shape = (source.shape[0], source.shape[1])
        packing = Packing.read(attention_mask, shape)
        layout = packing.layout

        def place(x: Tensor) -> Tensor:
            # While recorded, masked places go through the tables and layers too: zeros are valid ids, and finite.
            return packing.pack(x, fill=0)

        if position_ids is not None:
            positions = place(_spread(position_ids, shape, "position_ids"))
            if layout is not None:
                layout = _documents(layout, positions)
        elif layout is None:
            positions = place((torch.arange(shape[1], device=source.device) + FIRST_POSITION).expand(shape))
        else:
            positions = layout.padded_positions(source.device) + FIRST_POSITION
        if token_type_ids is None:
            types = torch.zeros_like(positions)
        else:
            types = place(_spread(token_type_ids, shape, "token_type_ids"))
        return cls(
            documents=packing.mask if layout is None else layout,
            packing=packing,
            input_ids=None if input_ids is None else place(input_ids),
            inputs_embeds=None if inputs_embeds is None else place(inputs_embeds),
            position_ids=positions,
            token_type_ids=types,
            own_positions=position_ids is None,
        )

    def check_ranges(self, vocab_size: int | None, num_positions: int | None, type_vocab_size: int | None) -> None:
        """Refuse ids outside the tables, real tokens only: what stands under the mask is never read.

        Args:
            vocab_size, num_positions, type_vocab_size: rows of the tables; None where there is none to read.

        Raises:
            NysformerError: which id, the table's size, and the fix; or position ids that do not rise in a document.
        """
        if is_recorded():
            if torch.compiler.is_dynamo_compiling() and not self.own_positions:
                self._assert_positions(0 if num_positions is None else FIRST_POSITION)
            return
        assert isinstance(self.documents, Layout)
        if self.documents.num_tokens == 0:
            return
        if num_positions is not None:
            first, last = (int(bound) for bound in self.position_ids.aminmax())
            if last >= num_positions:
                length = last - FIRST_POSITION + 1
                raise NysformerError(
                    f"a document reaches token {length}, and the position table holds {num_positions - FIRST_POSITION}:"
                    f" truncate it, or call model.extend_positions({length}) first"
                )
            if first < FIRST_POSITION:
                found = "negative numbers" if first < 0 else first
                raise NysformerError(
                    f"position_ids holds {found}: they are rows of the table and start at {FIRST_POSITION}; add "
                    f"{FIRST_POSITION} to 0-based ids (DataCollatorWithFlattening: position_ids_start={FIRST_POSITION})"
                )
        if not self.own_positions:
            falls = _falls(self.documents, self.position_ids, or_stay=True)
            if bool(falls.any()):
                place = int(falls.to(torch.uint8).argmax())
                before, after = self.position_ids[place : place + 2].tolist()
                raise NysformerError(
                    f"position_ids go from {before} to {after} within a row: they rise within a document, and all "
                    "documents of one row start at the same id; pass one document per row, padded, with its "
                    "attention_mask"
                )
        for name, ids, size, fix in (
            ("input_ids", self.input_ids, vocab_size, "this model's vocabulary; is the tokenizer another model's?"),
            ("token_type_ids", self.token_type_ids, type_vocab_size, "type_vocab_size"),
        ):
            if ids is not None and size is not None and not 0 <= int(ids.min()) <= int(ids.max()) < size:
                raise NysformerError(
                    f"{name} holds {int(ids.min())} to {int(ids.max())}, outside 0 to {size - 1}: {fix}"
                )

    def _assert_positions(self, first: int) -> None:
        """Let the compiled program itself stop at position ids that are refused, or begin a second document.

        The dense form reads one document per row and would mix them.
        """
        previous = F.pad(self.position_ids.cummax(dim=1).values[:, :-1], (1, 0), value=first - 1)
        rising = self.position_ids > previous  # masked places hold zeros
        torch._assert_async(
            self.packing.masked(rising, fill=True).all(),
            f"position_ids start at {first} or later and rise within a row: a compiled model reads one document per "
            "row",
        )


def check_one_document(position_ids: Tensor | None, packing: Packing) -> None:
    """Refuse rows of several documents, for heads that answer once per row.

    Raises:
        NysformerError: position ids that start over within a row.
    """
    layout = packing.layout
    if position_ids is None or layout is None:
        return
    if _documents(layout, layout.pack(_spread(position_ids, packing.shape, "position_ids"))) is not layout:
        raise NysformerError(
            "position_ids start over within a row, so it holds several documents, and this head answers once per row: "
            "pass one document per row, padded, with its attention_mask (DataCollatorWithPadding)"
        )


def _documents(layout: Layout, positions: Tensor) -> Layout:
    """The layout with rows cut where their (T,) position ids fall back to the row's first id.

    This is how padding-free batches mark their documents (transformers' `DataCollatorWithFlattening`).
    """
    falls = _falls(layout, positions)
    if not bool(falls.any()):
        return layout
    lengths = torch.tensor(layout.lengths, device=positions.device)
    real = lengths[lengths > 0]
    first = positions[real.cumsum(0) - real].repeat_interleave(real)
    starts = (falls & (positions[1:] == first[1:])).nonzero()[:, 0] + 1
    bounds = sorted({*layout.offsets, *starts.tolist()})
    return Layout([end - start for start, end in pairwise(bounds)], shape=layout.shape, index=layout.index)


def _falls(layout: Layout, positions: Tensor, *, or_stay: bool = False) -> Tensor:
    """(T - 1,) bool: where the next token of a document has a smaller position id, or the same one."""
    step = positions.diff()
    falls = step <= 0 if or_stay else step < 0
    bounds = [bound - 1 for bound in layout.offsets if 0 < bound < len(positions)]
    return falls.index_fill(0, torch.tensor(bounds, dtype=torch.int64, device=positions.device), False)


def _spread(ids: Tensor, shape: tuple[int, int], name: str) -> Tensor:
    """(B, N), or (1, N) or (N,) for all documents, to (B, N)."""
    if ids.dim() > 2 or ids.shape[-1] != shape[1] or (ids.dim() == 2 and ids.shape[0] not in (1, shape[0])):
        raise NysformerError(f"{name} has shape {tuple(ids.shape)}: pass {shape}, or (1, {shape[1]}) for all documents")
    return ids.expand(shape)
