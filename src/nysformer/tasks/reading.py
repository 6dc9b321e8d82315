"""Which tokens of a document a model reads: all of it, its head or tail, windows, or its most central sentences.

A piece is what one forward pass reads: token ranges of the document in their order, special tokens not counted.
"""

from __future__ import annotations

import bisect
import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, get_args

from nysformer.errors import NysformerError

if TYPE_CHECKING:
    from transformers import PretrainedConfig

__all__ = [
    "STRATEGIES",
    "Range",
    "Reading",
    "Strategy",
    "central_ranges",
    "choose_pieces",
    "sentence_ranges",
    "trained_reading",
]

Strategy = Literal["whole", "head", "tail", "head+tail", "windows", "key-sentences"]
STRATEGIES: tuple[Strategy, ...] = get_args(Strategy)

Range: TypeAlias = tuple[int, int]
"""A half-open range of token (or character) indices, (start, end)."""

# A sentence ends at its mark and the space behind it, or at the end of a line.
_SENTENCE_END = re.compile(r"(?<=[.!?…。！？])\s+|\s*\n\s*")
# Longer "sentences" (a table, a text without punctuation) are cut, so that the choice stays a choice.
_LONGEST_SENTENCE = 128


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """How documents that do not fit are read.

    Attributes:
        strategy: "whole" and "head" read a piece from the beginning, "tail" one from the end, "head+tail" one of both
            halves, "key-sentences" one of the most central sentences; "windows" reads all of the document in
            overlapping pieces. A piece has at most `max_length` tokens, which is told where documents are encoded.
        overlap: the share of a window that the next one repeats; for "windows" only.

    Raises:
        NysformerError: an unknown strategy, or an overlap outside [0, 1).

    Example:
        >>> Reading(strategy="windows").overlap
        0.25
    """

    strategy: Strategy = "whole"
    overlap: float = 0.25

    def __post_init__(self) -> None:
        if self.strategy not in STRATEGIES:
            raise NysformerError(f"reading: {self.strategy!r} is unknown; choose one of {', '.join(STRATEGIES)}")
        if not 0 <= self.overlap < 1:
            raise NysformerError(f"overlap: {self.overlap} is not a share from 0 to below 1")

    def as_config(self, max_length: int) -> dict[str, Any]:
        """What a model's configuration says of the reading it was trained with."""
        return {"strategy": self.strategy, "overlap": self.overlap, "max_length": max_length}

    def on_side(self, truncation_side: str) -> Reading:
        """The same for a tokenizer that cuts on that side: "whole" keeps a long document's end where that is the left.

        Example:
            >>> Reading().on_side("left").strategy
            'tail'
        """
        return replace(self, strategy="tail") if self.strategy == "whole" and truncation_side == "left" else self


def trained_reading(config: PretrainedConfig) -> tuple[Reading, int] | None:
    """How a model was trained to read, and how many tokens at a time; None where it was whole documents.

    Raises:
        NysformerError: what its configuration says cannot be meant.
    """
    saved = getattr(config, "reading", None)
    if saved is None:
        return None
    try:
        return Reading(strategy=saved["strategy"], overlap=saved["overlap"]), int(saved["max_length"])
    except (KeyError, TypeError, ValueError, NysformerError) as error:
        raise NysformerError(
            f"config.json: reading: {saved!r} is not what a training writes ({error}); correct or remove it"
        ) from error


def choose_pieces(count: int, room: int, strategy: Strategy, *, overlap: float = 0.25) -> list[list[Range]]:
    """Choose the token ranges that are read, by every strategy but "key-sentences".

    Args:
        count: tokens of the document, special ones not among them.
        room: tokens per piece, at least 1.
        strategy, overlap: see `Reading`.

    Returns:
        The pieces, at least one. The ranges of a piece are ordered and disjoint and hold at most `room` tokens; a
        document of at most `room` tokens is one piece, whole, under every strategy. Windows cover every token, and the
        last one ends with the document.

    Example:
        >>> choose_pieces(10, 4, "head+tail")
        [[(0, 2), (8, 10)]]
        >>> choose_pieces(10, 4, "windows", overlap=0.25)
        [[(0, 4)], [(3, 7)], [(6, 10)]]
    """
    if count <= room:
        return [[(0, count)]]
    if strategy == "tail":
        return [[(count - room, count)]]
    if strategy == "head+tail":
        head = (room + 1) // 2
        return [[(0, head), (count - (room - head), count)]] if room > 1 else [[(0, 1)]]
    if strategy == "windows":
        step = max(1, room - int(room * overlap))
        starts = [*range(0, count - room, step), count - room]
        return [[(start, start + room)] for start in starts]
    return [[(0, room)]]


def central_ranges(text: str, offsets: Sequence[Range], room: int) -> list[Range]:
    """The sentences that say most of what the others say, as token ranges in the order of the document.

    A sentence's score is the sum of its cosines with all sentences of the document (TF-IDF within the document), which
    is linear in their number. Sentences are taken by score while they fit.

    Args:
        text: the document.
        offsets: each token's characters in `text`; n tokens, special ones not among them.
        room: tokens to choose, fewer than n.
    """
    import numpy as np
    from sklearn.feature_extraction.text import TfidfVectorizer

    ranges = sentence_ranges(text, offsets)
    sentences = [text[offsets[start][0] : offsets[end - 1][1]] for start, end in ranges]
    try:
        vectors = TfidfVectorizer(sublinear_tf=True).fit_transform(sentences)
        scores = np.asarray(vectors @ np.asarray(vectors.sum(axis=0)).ravel()).ravel()
    except ValueError:  # no word in any of them
        scores = np.zeros(len(ranges))
    chosen: list[Range] = []
    left = room
    for index in np.argsort(-scores, kind="stable").tolist():
        start, end = ranges[index]
        if end - start <= left:
            chosen.append((start, end))
            left -= end - start
    return _joined(sorted(chosen)) or [(0, room)]


def sentence_ranges(text: str, offsets: Sequence[Range]) -> list[Range]:
    """Token ranges of sentences, each of at most 128 tokens, that together cover the document.

    A sentence ends at its mark and the space behind it, or at the end of a line.

    Args:
        text: the document.
        offsets: each token's characters in `text`; n tokens, special ones not among them, at least one.

    Example:
        >>> sentence_ranges("A b. C d.", [(0, 1), (2, 3), (3, 4), (5, 6), (7, 8), (8, 9)])
        [(0, 3), (3, 6)]
    """
    ends = [match.end() for match in _SENTENCE_END.finditer(text)]
    # By the tokens' ends: some tokenizers count the blank before a word among its characters.
    lasts = list(itertools.accumulate((end for _, end in offsets), max))
    firsts = [bisect.bisect_right(lasts, end) for end in ends]
    cuts = sorted({0, *firsts, len(offsets)})
    return [
        (start, min(start + _LONGEST_SENTENCE, end))
        for begin, end in itertools.pairwise(cuts)
        for start in range(begin, end, _LONGEST_SENTENCE)
    ]


def _joined(ranges: Sequence[Range]) -> list[Range]:
    """Neighbouring ranges made one."""
    joined: list[Range] = []
    for start, end in ranges:
        if joined and joined[-1][1] == start:
            joined[-1] = (joined[-1][0], end)
        else:
            joined.append((start, end))
    return joined
