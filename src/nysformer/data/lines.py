"""Pieces and lines of an open file, with word of when reading would have to wait."""

import select
from collections.abc import Iterator
from typing import BinaryIO

from nysformer.data.decoding import Decoder, UnreadableText, not_text
from nysformer.data.records import Waiting

__all__ = ["read_lines", "read_pieces", "read_whole"]

_PIECE = 1 << 16


def read_pieces(binary: BinaryIO, decoder: Decoder | None = None) -> Iterator[bytes | Waiting]:
    """Bytes as they come, with a `Waiting` before each read that would block.

    Args:
        binary: an open file or pipe.
        decoder: of its encoding, to refuse what cannot be text in it; None takes anything.

    Raises:
        UnreadableText: the first bytes are those of a binary file.
    """
    first = True
    while True:
        if not _has_input(binary):
            yield Waiting()
        piece = binary.read1(_PIECE)  # type: ignore[attr-defined]  # every buffered binary file has it
        if not piece:
            return
        if first and decoder is not None:
            reason = not_text(piece, decoder.encoding)
            if reason is not None:
                raise UnreadableText(reason)
        first = False
        yield piece


def read_whole(binary: BinaryIO, decoder: Decoder | None) -> Iterator[bytes | Waiting]:
    """All bytes at once, after any number of `Waiting`.

    Raises:
        UnreadableText: as `read_pieces`.
    """
    pieces = []
    for piece in read_pieces(binary, decoder):
        if isinstance(piece, Waiting):
            yield piece
        else:
            pieces.append(piece)
    yield b"".join(pieces)


def read_lines(binary: BinaryIO, decoder: Decoder | None = None) -> Iterator[tuple[int, bytes] | Waiting]:
    """Lines that are not blank, stripped, with their numbers from 1; `Waiting` before each read that would block.

    Args:
        binary: an open file or pipe.
        decoder: of its encoding; where that is not bytewise the lines come in UTF-8.

    Raises:
        UnreadableText: as `read_pieces`; text that is not bytewise is damaged.
    """
    source = read_pieces(binary, decoder)
    if decoder is not None and not decoder.is_bytewise:
        source = iter(decoder.recoded(piece for piece in source if not isinstance(piece, Waiting)))
    number = 1
    pieces: list[bytes] = []
    for chunk in source:
        if isinstance(chunk, Waiting):
            yield chunk
            continue
        head, *tails = chunk.split(b"\n")
        pieces.append(head)
        for tail in tails:
            if line := b"".join(pieces).strip():
                yield number, line
            number += 1
            pieces = [tail]
    if line := b"".join(pieces).strip():
        yield number, line


def _has_input(binary: BinaryIO) -> bool:
    """Whether reading returns at once; True, too, where that cannot be asked (no file behind it, pipes on Windows)."""
    try:
        return bool(select.select([binary], [], [], 0)[0])
    except (OSError, ValueError):
        return True
