"""Cut a document into passages: sentences, or stretches of so many tokens.

Shapes: n tokens of the document, special ones not among them.
"""

from collections.abc import Sequence
from typing import Literal, NamedTuple, TypeAlias

from nysformer.data.framing import Tokens
from nysformer.errors import NysformerError
from nysformer.tasks.alignment import tight_offsets
from nysformer.tasks.reading import Range, sentence_ranges

__all__ = ["Passage", "Passages", "as_passages", "passage_ranges", "passages_of"]

Passages: TypeAlias = int | Literal["none", "sentences"]
"""What a document is cut into: nothing, sentences, or passages of at most that many tokens."""


class Passage(NamedTuple):
    """Characters of a document, half-open, and what stands there."""

    start: int
    end: int
    text: str


def as_passages(value: object) -> Passages:
    """A choice of passages, from a number or a text.

    Raises:
        NysformerError: neither "none" nor "sentences" nor a whole number from 1.

    Example:
        >>> as_passages("128"), as_passages("sentences")
        (128, 'sentences')
    """
    if value == "none" or value == "sentences":
        return "none" if value == "none" else "sentences"
    if isinstance(value, str) and value.isdecimal():
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise NysformerError(f"passages: {value!r} is unknown; choose none, sentences, or a number of tokens from 1")
    return value


def passage_ranges(text: str, tokens: Tokens, passages: int | Literal["sentences"]) -> list[Range]:
    """Token ranges that follow each other and cover the document.

    Passages of a number of tokens are about equally long, and end between words where they can.

    Args:
        text: the document.
        tokens: of it, at least one.
        passages: see `Passages`.
    """
    if passages == "sentences":
        return sentence_ranges(text, tokens.offsets)
    words, count = tokens.words, len(tokens.ids)
    ranges: list[Range] = []
    start = 0
    while start < count:
        left = count - start
        end = start + -(-left // -(-left // passages))
        shortest = start + (end - start + 1) // 2
        whole = end
        while whole > shortest and whole < count and words[whole] >= 0 and words[whole] == words[whole - 1]:
            whole -= 1
        if whole > shortest:  # else the "word" is as long as a passage
            end = whole
        ranges.append((start, end))
        start = end
    return ranges


def passages_of(text: str, offsets: Sequence[Range], ranges: Sequence[Range]) -> list[Passage]:
    """The characters of token ranges.

    Args:
        text: the document.
        offsets: (n) each token's characters, as the tokenizer reports them.
        ranges: of tokens; none is empty.
    """
    tight = tight_offsets(text, offsets)
    found = []
    for first, last in ranges:
        seen = [each for each in tight[first:last] if each[0] < each[1]] or [tight[first]]
        start, end = seen[0][0], max(end for _, end in seen)
        found.append(Passage(start, end, text[start:end]))
    return found
