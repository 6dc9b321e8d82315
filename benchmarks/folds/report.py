"""What came out of a plan: the table, the bars, and what the result file holds."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.bars import above, at_least
from benchmarks.folds.figures import LONG_WORDS, accuracy, macro_f1, measure
from benchmarks.folds.parts import Part
from benchmarks.folds.plan import METRICS, Bar, Plan
from benchmarks.folds.systems import Answers, baseline_answers, system_answers
from benchmarks.folds.tfidf import TFIDF, WHOLE
from benchmarks.output import say
from benchmarks.recipes.corpus import Row
from benchmarks.record import show_table

__all__ = ["Outcome", "check_bars", "outcome", "show_outcome"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """The figures of one data set.

    Attributes:
        rows: of the systems that have predicted every part.
        unfinished: the others, with how many parts they have predicted.
        notes: system -> F1 by class, figures by part, what is known of the trainings.
    """

    data: str
    rows: list[dict[str, Any]]
    unfinished: dict[str, str]
    notes: dict[str, Any]


def outcome(plan: Plan, data: str, parts: Sequence[Part], split: str) -> Outcome:
    """Put together what is kept of a data set's parts; nothing is run."""
    answers = _answers(plan, parts, split)
    kept = {name: [each.kept() for each in found] for name, found in answers.items()}
    unfinished = {
        name: f"{sum(each is not None for each in found)} of {len(parts)} parts"
        for name, found in kept.items()
        if None in found
    }
    rows: dict[str, list[list[Row]]] = {}
    for name, found in answers.items():
        if name not in unfinished:
            rows[name] = [each.rows() for each in found]
    if WHOLE not in rows:
        return Outcome(data, [], unfinished, {})
    measured = measure({name: _rounds(parts, found) for name, found in rows.items()}, WHOLE)
    told, notes = [], {}
    for name, figures in measured.items():
        records = [each for each in kept[name] if each is not None]
        by_part = [_part_figures(part, each) for part, each in zip(parts, rows[name], strict=True)]
        per_class, never = figures.pop("per_class"), figures.pop("never_predicted")
        scores = [each["macro_f1"] for each in by_part]
        predicted = sum(len(each) for each in rows[name])
        told.append(
            {
                "data": data,
                "system": name,
                "parts": len(parts),
                **figures,
                "macro_f1_deviation": statistics.stdev(scores) if len(scores) > 1 else None,
                "never_predicted": len(never),
                "documents_per_s": predicted / sum(each["seconds"] for each in records),
                "train_s": statistics.mean(each["train_seconds"] for each in records),
            }
        )
        notes[name] = {
            "per_class": per_class,
            "never_predicted": never,
            "by_part": by_part,
            "commits": sorted({str(each["commit"]) for each in records}),
            "trainings": [each["training"] for each in records if "training" in each],
        }
    return Outcome(data, told, unfinished, notes)


def _answers(plan: Plan, parts: Sequence[Part], split: str) -> dict[str, list[Answers]]:
    """Row name -> its predictions of each part."""
    answers = {name: [baseline_answers(name, part, split) for part in parts] for name in TFIDF}
    for system in plan.systems:
        for part in parts:
            for name, each in system_answers(plan, system, part, split).items():
                answers.setdefault(system.row_name(name), []).append(each)
    return answers


def _rounds(parts: Sequence[Part], rows: Sequence[Sequence[Row]]) -> list[list[Row]]:
    """Per seed the rows of all its folds."""
    rounds: dict[int, list[Row]] = {}
    for part, each in zip(parts, rows, strict=True):
        rounds.setdefault(part.seed, []).extend(each)
    return list(rounds.values())


def _part_figures(part: Part, rows: Sequence[Row]) -> dict[str, Any]:
    names = sorted({row[which] for row in rows for which in ("label", "predicted")})
    confusion = np.zeros((len(names), len(names)))
    for row in rows:
        confusion[names.index(row["label"]), names.index(row["predicted"])] += 1
    figures = {"accuracy": float(accuracy(confusion)), "macro_f1": float(macro_f1(confusion))}
    return {"seed": part.seed, "fold": part.fold + 1, "documents": len(rows), **figures}


def show_outcome(plan: Plan, found: Outcome, split: str) -> None:
    """Print the tables of a data set."""
    documents = "test documents" if split == "test" else "validation documents, which chose the checkpoints"
    if found.rows:
        first = found.rows[0]
        title = (
            f"{plan.title} ({found.data}): {first['documents']:,} {documents}, {first['long_documents']:,} of over "
            f"{LONG_WORDS} words; {first['parts']} parts; 95% intervals over groups of documents"
        )
        numbered = list(enumerate(found.rows, 1))
        show_table(
            title,
            [
                {
                    "row": place,
                    "system": row["system"],
                    **{METRICS[name]: _with_interval(row, name) for name in METRICS},
                }
                for place, row in numbered
            ],
        )
        show_table(
            f"Against {WHOLE}",
            [
                {
                    "row": place,
                    **{METRICS[name]: _with_interval(row, f"{name}_difference", sign="+") for name in METRICS},
                    "σ by part": row["macro_f1_deviation"],
                    "classes never predicted": row["never_predicted"],
                    "docs/s": row["documents_per_s"],
                    "train s": row["train_s"],
                }
                for place, row in numbered
            ],
        )
        by_class = {place: found.notes[row["system"]]["per_class"] for place, row in numbered}
        show_table(
            "F1 by class, system by row",
            [
                {"class": name, **{str(place): scores[name] for place, scores in by_class.items()}}
                for name in by_class[1]
            ],
        )
        for row in found.rows:
            never = found.notes[row["system"]]["never_predicted"]
            if never:
                say(f"{row['system']}: never predicted: {', '.join(never)}")
    for name, count in found.unfinished.items():
        say(f"{found.data}: {name}: not finished ({count})")


def _with_interval(row: Mapping[str, Any], name: str, sign: str = "") -> str:
    if row[name] is None:
        return ""
    low, high = row[f"{name}_interval"]
    return f"{row[name]:{sign}.3f} [{low:{sign}.3f}, {high:{sign}.3f}]"


def check_bars(plan: Plan, outcomes: Sequence[Outcome]) -> list[dict[str, Any]]:
    """The rows of the table of bars, each printed as met or missed; what is not measured is said, and has no row."""
    held = []
    for bar in plan.bars:
        for found in outcomes:
            if bar.data in (None, found.data):
                row = _bar(bar, found)
                if row is not None:
                    held.append(row)
    return held


def _bar(bar: Bar, found: Outcome) -> dict[str, Any] | None:
    rows = {row["system"]: row for row in found.rows}
    what = f"{found.data}: {bar.system}: {METRICS[bar.metric]}"
    figure = rows.get(bar.system, {}).get(bar.metric)
    other = None if bar.above is None else rows.get(bar.above, {}).get(bar.metric)
    if figure is None or (bar.above is not None and other is None):
        say(f"bar not measured: {what}")
        return None
    if other is None:
        assert bar.at_least is not None
        row = at_least(what, figure, bar.at_least)
        wanted = row["bound"]
    else:
        row = above(what, figure, other + bar.by)
        wanted = f"{row['bound']}: {bar.above}" + (f" and {bar.by:g}" if bar.by else "")
    said = _with_interval(rows[bar.system], bar.metric)
    say(f"bar {'met' if row['holds'] == 'yes' else 'missed'}: {what} {said}, wanted {wanted}")
    return {**row, "bar": f"{what} {wanted}"}
