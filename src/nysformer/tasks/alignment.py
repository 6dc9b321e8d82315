"""Characters, words and tokens of one text: which token stands for which characters, whatever the tokenizer.

Tokenizers report the characters of a token differently: with or without the blank before a word, without the combining
marks that a normaliser removed, several tokens for one emoji. Here WordPiece, byte-level BPE and sentencepiece take one
form.

Shapes: n tokens of a text, special ones not among them; ranges are half-open, (start, end).
"""

import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from nysformer.errors import NysformerError
from nysformer.tasks.reading import Range

__all__ = ["Span", "check_spans", "first_tokens", "spans_of_tags", "tags_of_spans", "tight_offsets", "word_numbers"]

OUTSIDE = "O"


class Span(NamedTuple):
    """A labelled range of characters of a text."""

    start: int
    end: int
    label: str


def tight_offsets(text: str, offsets: Sequence[Range]) -> list[Range]:
    """A tokenizer's offsets without surrounding blanks and with the combining marks that follow.

    Args:
        text: what was tokenized.
        offsets: each token's characters, in order, as the tokenizer reports them.

    Returns:
        (n) ranges; empty ones, start == end, for tokens that stand for no visible character.

    Example:
        >>> tight_offsets("a cafe" + chr(0x301), [(0, 1), (1, 6)])
        [(0, 1), (2, 7)]
    """
    tight = []
    for index, (start, end) in enumerate(offsets):
        while start < end and text[start].isspace():
            start += 1
        while end > start and text[end - 1].isspace():
            end -= 1
        if start < end:
            following = (begin for begin, _ in offsets[index + 1 : index + 2] if begin >= end)
            limit = next(following, len(text))
            while end < limit and _extends(text[end]):
                end += 1
        tight.append((start, end))
    return tight


def _extends(character: str) -> bool:
    """Whether a character belongs to the one before it: a combining mark, a variation selector, a joiner."""
    return unicodedata.category(character) in ("Mn", "Me", "Mc") or character == "\N{ZERO WIDTH JOINER}"


def first_tokens(units: Sequence[Range], offsets: Sequence[Range]) -> list[int | None]:
    """The first token that touches each unit of text; None where no token does, or where it was a unit's before.

    Args:
        units: ranges of characters in order, such as words.
        offsets: from `tight_offsets`.

    Example:
        >>> first_tokens([(0, 3), (4, 9)], [(0, 2), (2, 3), (4, 9)])
        [0, 2]
    """
    firsts: list[int | None] = []
    token = 0
    for start, end in units:
        while token < len(offsets) and (offsets[token][1] <= start or offsets[token][0] == offsets[token][1]):
            token += 1
        if token < len(offsets) and offsets[token][0] < end:
            firsts.append(token)
            token += 1
        else:
            firsts.append(None)
    return firsts


def word_numbers(text: str, offsets: Sequence[Range], words: Sequence[int]) -> list[int]:
    """The number of the word that each token is part of, whatever a tokenizer calls a word.

    A word ends where the tokenizer's own ends, and at every blank: some sentencepiece tokenizers take a whole text for
    one word.

    Args:
        text: what was tokenized.
        offsets: (n) each token's characters, in order, as the tokenizer reports them.
        words: (n) the tokenizer's number of each token's word; negative for none.

    Returns:
        (n) numbers that never fall; -1 for a token of no word.

    Example:
        >>> word_numbers("a word", [(0, 1), (1, 4), (4, 6)], [0, 0, 0])
        [0, 1, 1]
    """
    numbers = []
    number, before, reached = -1, -1, 0
    for (start, end), word in zip(tight_offsets(text, offsets), words, strict=True):
        if word >= 0 and (word != before or any(map(str.isspace, text[reached:start]))):
            number += 1
        numbers.append(number if word >= 0 else -1)
        before, reached = word, max(reached, end)
    return numbers


def tags_of_spans(spans: Sequence[Span], units: Sequence[Range]) -> list[str]:
    """IOB2 tags of units from labelled spans of characters; a unit belongs to the first span it touches.

    Example:
        >>> tags_of_spans([Span(0, 8, "NAME")], [(0, 3), (4, 8), (9, 12)])
        ['B-NAME', 'I-NAME', 'O']
    """
    tags = []
    ordered = sorted(spans)
    place, begun = 0, False
    for start, end in units:
        while place < len(ordered) and ordered[place].end <= start:
            place, begun = place + 1, False
        if place < len(ordered) and ordered[place].start < end and start < end:
            tags.append(f"{'I' if begun else 'B'}-{ordered[place].label}")
            begun = True
        else:
            tags.append(OUTSIDE)
    return tags


def spans_of_tags(tags: Iterable[str], units: Iterable[Range]) -> Iterator[Span]:
    """Labelled spans from IOB2 tags of units; an I- that continues nothing begins a span, as seqeval reads it.

    Example:
        >>> list(spans_of_tags(["B-NAME", "I-NAME", "O", "I-URL"], [(0, 3), (4, 8), (9, 12), (13, 20)]))
        [Span(start=0, end=8, label='NAME'), Span(start=13, end=20, label='URL')]
    """
    current: Span | None = None
    for tag, (start, end) in zip(tags, units, strict=True):
        prefix, _, label = tag.partition("-")
        if current is not None and prefix == "I" and label == current.label:
            current = Span(current.start, end, label)
            continue
        if current is not None:
            yield current
        current = Span(start, end, label) if prefix in ("B", "I") and label else None
    if current is not None:
        yield current


def check_spans(spans: Sequence[Span], text: str, place: str) -> None:
    """Refuse spans that are empty, outside the text, or overlap.

    Raises:
        NysformerError: the first such span and its place.
    """
    before: Span | None = None
    for span in sorted(spans):
        if not 0 <= span.start < span.end <= len(text):
            raise NysformerError(
                f"{place}: the span {span.start} to {span.end} ({span.label!r}) is empty or outside the text of "
                f"{len(text)} characters; fix or remove it"
            )
        if before is not None and span.start < before.end:
            raise NysformerError(
                f"{place}: the spans {before.start}-{before.end} and {span.start}-{span.end} overlap; keep one of them"
            )
        before = span
