"""Holders, URLs and e-mail addresses in licence texts, as spans and as answers to questions.

`licensedcode-data` lists, for each text, the copyright holders, URLs and e-mail addresses in it, as ScanCode finds
them. A text is used where every listed value stands in it literally, white space aside.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from typing import Any

from benchmarks.recipes.corpus import Row, Rows, Source
from benchmarks.recipes.splits import by_near_duplicates, deal
from nysformer.data.licences import licence_data, parse_entry

__all__ = [
    "FIELDS",
    "QUESTIONS",
    "GoldText",
    "answers",
    "contradicted",
    "gold_source",
    "make_entities",
    "make_questions",
    "places",
    "spans_of",
]

FIELDS = {"HOLDER": "ignorable_holders", "URL": "ignorable_urls", "EMAIL": "ignorable_emails"}
QUESTIONS = {
    "HOLDER": "Who holds the copyright?",
    "URL": "Which URL does the text give?",
    "EMAIL": "Which e-mail address does the text give?",
}
MIN_WORDS = 200
Span = tuple[int, int, str]
_MARK = re.compile(r"\(c\)|©|copyright(?:ed)?\b", re.IGNORECASE)
_STATEMENT = 150  # characters from a copyright mark to a holder, other holders included
_BETWEEN = frozenset(["al", "and", "by", "c", "et", "for", "in", "of", "or", "others", "present", "the", "to"])
# A text that shows one of these, and lists nothing of that kind, is not one to call unanswerable.
_SIGNS = {
    "HOLDER": re.compile(r"(?:copyright|\(c\)|©)[^\n]{0,20}\b(?:19|20)\d\d", re.IGNORECASE),
    "URL": re.compile(r"(?:https?|ftp)://|\bwww\.", re.IGNORECASE),
    "EMAIL": re.compile(r"[\w.+-]+@[\w-]+\.\w"),
}


@dataclass(frozen=True, slots=True)
class GoldText:
    """A text, the licence it is of, and per label the values that stand in it."""

    id: str
    key: str
    text: str
    values: Mapping[str, tuple[str, ...]]


def gold_source() -> Source:
    """The installed package."""
    return Source(
        package=f"PyPI licensedcode-data {metadata.version('licensedcode-data')}",
        licence="CC-BY-4.0 (the data set; the texts are licences)",
        citation="nexB Inc. and others: ScanCode LicenseDB. https://scancode-licensedb.aboutcode.org",
    )


def places(label: str, value: str, text: str) -> list[tuple[int, int]]:
    """Where a value stands as a whole, whatever white space is between its words.

    A holder counts where it is named in a copyright statement; a URL includes a slash at its end, which ScanCode drops.

    Example:
        >>> text = "Copyright (c) 2001 Bo Yu and\\nAnn  Lee. Ann Lee gives no warranty. See http://x.org/a/."
        >>> places("HOLDER", "Ann Lee", text), places("URL", "http://x.org/a", text)
        ([(29, 37)], [(70, 85)])
    """
    pattern = re.compile(
        r"(?<!\w)" + r"\s+".join(map(re.escape, value.split())) + (r"(?!\w)/?" if label == "URL" else r"(?!\w)")
    )
    return [
        found.span()
        for found in pattern.finditer(text)
        if label != "HOLDER" or _in_statement(text[max(0, found.start() - _STATEMENT) : found.start()], pattern)
    ]


def _in_statement(before: str, name: re.Pattern[str]) -> bool:
    """Whether a copyright mark stands before a name, and only years and other names between."""
    marks = list(_MARK.finditer(before))
    if not marks:
        return False
    between = before[marks[-1].end() :]
    words = re.findall(r"[^\W_]+", between)
    return (
        "\n\n" not in between
        and name.search(between) is None
        and all(not word[0].islower() or word in _BETWEEN for word in words)
    )


def spans_of(text: str, values: Mapping[str, tuple[str, ...]]) -> list[Span]:
    """Every place of a value as start, end and label; where two overlap, the longer value has it.

    Example:
        >>> spans_of("(c) Ann Lee, ann@x.org", {"HOLDER": ("Ann Lee", "Ann"), "EMAIL": ("ann@x.org",)})
        [(4, 11, 'HOLDER'), (13, 22, 'EMAIL')]
    """
    every = [(value, label) for label, listed in values.items() for value in listed]
    taken: list[Span] = []
    for value, label in sorted(every, key=lambda pair: -len(pair[0])):
        for start, end in places(label, value, text):
            if all(end <= left or right <= start for left, right, _ in taken):
                taken.append((start, end, label))
    return sorted(taken)


def answers(text: str, spans: Sequence[Span], label: str) -> dict[str, list[Any]]:
    """SQuAD's answers: the different values of one label, each where it stands first.

    Example:
        >>> answers("Bo or Ann or Bo", [(0, 2, "A"), (6, 9, "A"), (13, 15, "A")], "A")
        {'text': ['Bo', 'Ann'], 'answer_start': [0, 6]}
    """
    first: dict[str, int] = {}
    for start, end, kind in spans:
        if kind == label:
            first.setdefault(text[start:end], start)
    return {"text": list(first), "answer_start": list(first.values())}


def contradicted(text: str, values: Mapping[str, tuple[str, ...]]) -> bool:
    """Whether the text shows a sign of a kind of value of which none is listed.

    Example:
        >>> contradicted("Copyright 2001 Ann", {"HOLDER": (), "URL": (), "EMAIL": ()})
        True
    """
    return any(not values[label] and sign.search(text) for label, sign in _SIGNS.items())


def _gold_texts() -> tuple[list[GoldText], Counter[str]]:
    """The usable texts, and how many were left out for which reason."""
    kept: list[GoldText] = []
    dropped: Counter[str] = Counter()
    for one in _listed():
        if not all(places(label, value, one.text) for label, listed in one.values.items() for value in listed):
            dropped["a value does not stand in them literally (a holder: in a copyright statement)"] += 1
        elif contradicted(one.text, one.values):
            dropped["they show a year of copyright, a URL or an address where none is listed"] += 1
        else:
            kept.append(one)
    return kept, dropped


def _listed() -> Iterator[GoldText]:
    """Every English text of 200 words or more with a value of some kind, each text once."""
    data = licence_data()
    seen = set()
    for path in (*sorted((data / "licenses").glob("*.LICENSE")), *sorted((data / "rules").glob("*.RULE"))):
        source = path.read_text(encoding="utf-8")
        if not any(field in source for field in FIELDS.values()):  # most rules: not worth a parse
            continue
        header, text = parse_entry(path, source)
        values = {label: tuple(map(str, header.get(field) or ())) for label, field in FIELDS.items()}
        same = " ".join(text.lower().split())
        if not any(values.values()) or header.get("language", "en") != "en" or same in seen:
            continue
        if len(text.split()) >= MIN_WORDS:
            seen.add(same)
            key = str(header.get("key") or header.get("license_expression", path.name)).strip()
            yield GoldText(f"{path.parent.name}/{path.name}", key, text, values)


def _split(texts: list[GoldText], seed: int) -> tuple[list[str], list[int]]:
    kinds = ["+".join(label for label, values in one.values.items() if values) for one in texts]
    return by_near_duplicates([one.text for one in texts], [one.key for one in texts], kinds, seed)


def _notes(texts: list[GoldText], dropped: Counter[str], groups: list[int]) -> list[str]:
    return [
        f"{len(texts):,} texts of {MIN_WORDS} words or more that list a holder, URL or e-mail address; left out: "
        + "; ".join(f"{count:,} because {reason}" for reason, count in dropped.items()),
        "the values are ScanCode's findings, stored with the texts by its maintainers; they were not marked by hand, "
        "and a few are wrong",
        f"{max(groups) + 1:,} groups of near-duplicates and of one licence, each on one side",
    ]


def make_entities(seed: int) -> Rows:
    """Rows of `id`, `text`, `spans` and `group`."""
    texts, dropped = _gold_texts()
    sides, groups = _split(texts, seed)
    rows: list[Row] = [
        {
            "id": one.id,
            "text": one.text,
            "spans": [
                {"start": start, "end": end, "label": label} for start, end, label in spans_of(one.text, one.values)
            ],
            "group": group,
        }
        for one, group in zip(texts, groups, strict=True)
    ]
    return Rows(deal(rows, sides), _notes(texts, dropped, groups))


def make_questions(seed: int) -> Rows:
    """Rows of `id`, `context`, `question`, `answers` (empty where there is none) and `group`: three per text."""
    texts, dropped = _gold_texts()
    sides, groups = _split(texts, seed)
    rows: list[Row] = []
    side_of_row: list[str] = []
    for one, side, group in zip(texts, sides, groups, strict=True):
        spans = spans_of(one.text, one.values)
        for label, question in QUESTIONS.items():
            rows.append(
                {
                    "id": f"{one.id}#{label.lower()}",
                    "context": one.text,
                    "question": question,
                    "answers": answers(one.text, spans, label),
                    "group": group,
                }
            )
            side_of_row.append(side)
    empty = sum(not row["answers"]["text"] for row in rows)
    notes = [
        "derived: three questions per text; each listed value is a right answer, where it first stands",
        f"{empty:,} of {len(rows):,} questions have no answer",
    ]
    return Rows(deal(rows, side_of_row), [*notes, *_notes(texts, dropped, groups)])
