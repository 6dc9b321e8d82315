"""From the tokens of a document to what forward passes read, and from their outputs back to the document.

Shapes: n tokens of the document, P tokens of a piece with its special ones, C outputs per token.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nysformer.data.framing import Frame, Tokens
from nysformer.errors import NysformerError
from nysformer.tasks.reading import Range, Reading, central_ranges, choose_pieces

__all__ = ["Piece", "cut", "merge", "tokens_read"]


@dataclass(frozen=True, slots=True)
class Piece:
    """One forward pass over parts of a document.

    Attributes:
        input_ids: (P) special tokens included.
        token_type_ids: (P), or None where all are 0.
        ranges: the document's tokens that are read, in order.
        start: the place of the first of them in `input_ids`.
    """

    input_ids: list[int]
    token_type_ids: list[int] | None
    ranges: list[Range]
    start: int

    @property
    def tokens(self) -> NDArray[np.int64]:
        """The numbers of the document's tokens that are read."""
        return np.concatenate([np.arange(start, end) for start, end in self.ranges])

    def spread(self, values: NDArray[np.int64], fill: int) -> NDArray[np.int64]:
        """(n) values of the document's tokens to (P), `fill` at special tokens."""
        placed = np.full(len(self.input_ids), fill, dtype=values.dtype)
        tokens = self.tokens
        placed[self.start : self.start + len(tokens)] = values[tokens]
        return placed


def cut(text: str, tokens: Tokens, frame: Frame, reading: Reading, longest: int) -> list[Piece]:
    """Choose what is read of a document and put the special tokens around it.

    Args:
        text: the document.
        tokens: of it.
        frame: what stands before and after.
        reading: how documents that do not fit are read.
        longest: tokens the model can read, special ones included.

    Raises:
        NysformerError: no room is left beside the frame.
    """
    window = longest if reading.window is None else min(reading.window, longest)
    room = window - len(frame)
    if room < 1:
        raise NysformerError(
            f"max_length: {window} tokens leave no room beside {len(frame)} others (special tokens and what is asked); "
            "give more"
        )
    if reading.strategy == "key-sentences" and len(tokens.ids) > room:
        chosen = [central_ranges(text, tokens.offsets, room)]
    else:
        chosen = choose_pieces(len(tokens.ids), room, reading.strategy, overlap=reading.overlap)
    return [_piece(tokens.ids, ranges, frame) for ranges in chosen]


def _piece(ids: Sequence[int], ranges: list[Range], frame: Frame) -> Piece:
    inside = [token for start, end in ranges for token in ids[start:end]]
    input_ids, types = frame.around(inside)
    return Piece(input_ids, types if any(types) else None, ranges, start=len(frame.prefix))


def tokens_read(pieces: Sequence[Piece]) -> int:
    """How many of the document's tokens one of the pieces reads."""
    if len(pieces) == 1:
        return sum(end - start for start, end in pieces[0].ranges)
    return len(np.unique(np.concatenate([piece.tokens for piece in pieces])))


def merge(
    pieces: Sequence[Piece], outputs: Sequence[NDArray[np.float32]], count: int
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Outputs of pieces as outputs of the document's tokens; where windows overlap, their mean, so there is no seam.

    Args:
        pieces: from `cut`.
        outputs: (P, C) of each piece.
        count: n.

    Returns:
        (n, C), zero where nothing was read, and (n), whether a token was.
    """
    total = np.zeros((count, outputs[0].shape[1]), dtype=np.float32)
    times = np.zeros(count, dtype=np.int64)
    for piece, output in zip(pieces, outputs, strict=True):
        tokens = piece.tokens
        total[tokens] += output[piece.start : piece.start + len(tokens)]
        times[tokens] += 1
    return total / np.maximum(times, 1).astype(np.float32)[:, None], times > 0
