"""Regular expressions that find holders, URLs and e-mail addresses: the baseline of tagging and question answering.

Nothing is learned: the training rows are not read.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence

from torchmetrics.text import SQuAD

from benchmarks.recipes.baselines.texts import Figures
from benchmarks.recipes.corpus import Row
from benchmarks.recipes.gold import QUESTIONS, Span

__all__ = ["entities", "find_all", "find_first", "questions", "scores"]

_URL = re.compile(r"(?:(?:https?|ftp)://|\bwww\.)[^\s<>\"'(){}\[\]`|]+", re.IGNORECASE)
_EMAIL = re.compile(r"(?<![\w.+-])[\w.+-]+@[\w-]+(?:\.[\w-]+)+")
_MARK = r"(?:\(c\)|©|&copy;)"
_YEARS = r"(?:(?:19|20)\d\d(?:\s*[-–,]\s*(?:\d{2,4}|present))*[\s,.]*)+"
_END = r"<|\(?https?:|\S+@|\(\d{4}|(?i:all rights)|(?<!\b[A-Z])(?<!\b(?:Co|Dr|Jr))(?<!\b(?:Inc|Ltd))(?<!\bCorp)\.\s"
_STATEMENT = re.compile(
    rf"(?i:(?:\bcopyright(?:ed)?\b[\s:,]*(?:{_MARK}[\s,]*(?:{_YEARS})?|{_YEARS})|{_MARK}[\s,]*{_YEARS})(?:by\s+)?)"
    rf"(?P<holder>(?:[Tt]he\s+)?[A-Z][^\n]*?)(?=\s*(?:$|\n|{_END}))"
)


def find_all(text: str) -> list[Span]:
    """Start, end and label of what the expressions find, in order.

    Example:
        >>> text = "Copyright (c) 2001, 2003 Ann B. Lee. All rights reserved. Write to ann@x.org, or see http://x.org/."
        >>> [(text[start:end], label) for start, end, label in find_all(text)]
        [('Ann B. Lee', 'HOLDER'), ('ann@x.org', 'EMAIL'), ('http://x.org/', 'URL')]
    """
    return sorted(_without_overlaps(_found(text)))


def _found(text: str) -> Iterator[Span]:
    for found in _URL.finditer(text):
        yield found.start(), found.start() + len(found[0].rstrip(".,;:!?*")), "URL"
    for found in _EMAIL.finditer(text):
        yield found.start(), found.start() + len(found[0].rstrip(".-")), "EMAIL"
    for found in _STATEMENT.finditer(text):
        holder = found["holder"].strip(" ,;*")
        yield found.start("holder"), found.start("holder") + len(holder), "HOLDER"


def _without_overlaps(found: Iterator[Span]) -> list[Span]:
    kept: list[Span] = []
    for start, end, label in found:
        if all(end <= left or right <= start for left, right, _ in kept):
            kept.append((start, end, label))
    return kept


def find_first(text: str, label: str) -> str:
    """The first value of a kind, or "" where there is none."""
    return next((text[start:end] for start, end, kind in find_all(text) if kind == label), "")


def scores(gold: Sequence[Sequence[Span]], found: Sequence[Sequence[Span]]) -> dict[str, float]:
    """Precision, recall and F1 of spans that agree in start, end and label, over all documents.

    Example:
        >>> scores([[(0, 3, "A"), (5, 6, "B")]], [[(0, 3, "A"), (5, 7, "B")]])
        {'precision': 0.5, 'recall': 0.5, 'f1': 0.5, 'entities': 2}
    """
    right = sum(len(set(wanted) & set(given)) for wanted, given in zip(gold, found, strict=True))
    wanted_count, given_count = sum(map(len, gold)), sum(map(len, found))
    return {
        "precision": right / max(given_count, 1),
        "recall": right / max(wanted_count, 1),
        "f1": 2 * right / max(wanted_count + given_count, 1),
        "entities": wanted_count,
    }


def entities(train: Sequence[Row], test: Sequence[Row]) -> Figures:
    """Exact spans by regular expressions, all and by label."""
    gold = [[(span["start"], span["end"], span["label"]) for span in row["spans"]] for row in test]
    found = [find_all(row["text"]) for row in test]
    figures = {"regular expressions": scores(gold, found)}
    for label in QUESTIONS:
        figures[f"regular expressions, {label}"] = scores(
            [[span for span in spans if span[2] == label] for spans in gold],
            [[span for span in spans if span[2] == label] for spans in found],
        )
    return figures


def questions(train: Sequence[Row], test: Sequence[Row]) -> Figures:
    """SQuAD's measures, from 0 to 1: of no answer at all, and of the first match of the question's expression."""
    labels = {question: label for label, question in QUESTIONS.items()}
    found = [find_first(row["context"], labels[row["question"]]) for row in test]
    figures = {"never an answer": _squad(test, [""] * len(test)), "regular expressions": _squad(test, found)}
    for question, label in labels.items():
        places = [place for place, row in enumerate(test) if row["question"] == question]
        figures[f"regular expressions, {label}"] = _squad([test[i] for i in places], [found[i] for i in places])
    return figures


def _squad(rows: Sequence[Row], found: Sequence[str]) -> dict[str, float]:
    squad = SQuAD()
    kinds: Counter[bool] = Counter()
    for row, answer in zip(rows, found, strict=True):
        texts = row["answers"]["text"] or [""]
        squad.update(
            [{"id": "", "prediction_text": answer}],
            [{"id": "", "answers": {"text": texts, "answer_start": [0] * len(texts)}}],
        )
        kinds[(not answer) == (not row["answers"]["text"])] += 1
    result = squad.compute()
    return {
        "exact_match": float(result["exact_match"]) / 100,
        "f1": float(result["f1"]) / 100,
        "no_answer_accuracy": kinds[True] / max(len(rows), 1),
    }
