"""Run a plan: every part of every data set, by TF-IDF and by every system."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.folds.figures import LONG_WORDS
from benchmarks.folds.parts import Part, make_parts
from benchmarks.folds.plan import Plan
from benchmarks.folds.report import check_bars, outcome, show_outcome
from benchmarks.folds.systems import run_baseline, run_system
from benchmarks.folds.tfidf import TFIDF
from benchmarks.output import say
from benchmarks.recipes.registry import prepare
from benchmarks.record import Record, check_folder, commit, write_record
from nysformer.errors import NysformerError

__all__ = ["run_plan"]

_FAILED = 1


def run_plan(
    plan: Plan,
    *,
    data_dir: Path,
    runs_dir: Path,
    results: Path,
    command: str,
    only: Sequence[str] | None = None,
    validation: bool = False,
    folds: int | None = None,
    seeds: int | None = None,
) -> int:
    """Run what is not finished of a plan, print the figures of all that is, and keep them in a result file.

    One system's failure stops no other. The result file is written where the tree is that of a commit, so that its
    figures can be had again.

    Args:
        plan: see there.
        data_dir: of the data sets, made if absent.
        runs_dir: of the parts, models, logs and predictions, and of the converted encoders.
        results: of the result file.
        command: what the file names.
        only: names of the systems to run, beside TF-IDF; None for all of the plan.
        validation: predict the validation documents instead, for choosing settings; no bars, no result file.
        folds: run so many folds of each seed; None for all.
        seeds: run so many of the seeds; None for all.

    Returns:
        The exit code: 1 where a system failed, else 0.

    Raises:
        NysformerError: `only` names no system, the data cannot be made, or the result file cannot be written.
    """
    names = [system.name for system in plan.systems]
    for name in only or ():
        if name not in names:
            raise NysformerError(f"only: there is no system {name!r}; choose of: {'; '.join(names)}")
    if folds is not None and plan.folds is None:
        raise NysformerError(f"folds: {plan.name} has the data's own test documents and no folds; leave it out")
    check_folder(results)
    split = "valid" if validation else "test"
    corpora = {data: prepare(data, data_dir) for data in plan.data}
    parts = {
        data: make_parts(corpus, plan, data, runs_dir, folds=folds or plan.folds or 1, seeds=seeds or len(plan.seeds))
        for data, corpus in corpora.items()
    }
    every = [part for found in parts.values() for part in found]
    failed = [f"{part.title}: {name}" for name in TFIDF for part in every if not _done(run_baseline, name, part, split)]
    for part in every:
        for system in plan.systems:
            if (only is None or system.name in only) and not _done(
                run_system, plan, system, part, split, runs_dir / "encoders"
            ):
                failed.append(f"{part.title}: {system.name}")
    outcomes = [outcome(plan, data, found, split) for data, found in parts.items()]
    for found in outcomes:
        show_outcome(plan, found, split)
    if not validation:
        bars = check_bars(plan, outcomes)
        rows = [row for found in outcomes for row in found.rows]
        notes = {
            **_described(plan, parts),
            **{
                found.data: {"source": corpora[found.data].readme["source"], "systems": found.notes}
                for found in outcomes
            },
        }
        _keep(Record(f"folds-{plan.name}", command, rows, notes, bars), results)
    if failed:
        print(f"nysformer: failed: {'; '.join(failed)}", file=sys.stderr, flush=True)
    return _FAILED if failed else 0


def _done(run: Callable[..., None], *arguments: Any) -> bool:
    """Whether it went well; what went wrong is said."""
    try:
        run(*arguments)
    except NysformerError as error:
        print(f"nysformer: {error}", file=sys.stderr, flush=True)
        return False
    except Exception:  # whatever it is: the other systems are run
        traceback.print_exc()
        return False
    return True


def _described(plan: Plan, parts: dict[str, list[Part]]) -> dict[str, Any]:
    return {
        "about": plan.about,
        "folds": plan.folds,
        "parts": {data: [part.title for part in found] for data, found in parts.items()},
        "valid_share": plan.valid_share,
        "long": f"more than {LONG_WORDS} words",
        "interval": "95%, bootstrap over groups of documents, paired between systems; figures of all folds together, "
        "mean over seeds",
        "baselines": "fitted on training and validation documents; systems train on the first, choose by the second",
        "documents_per_s": "of reading the test documents, without loading the model",
    }


def _keep(record: Record, results: Path) -> None:
    tree = commit()
    if not record.rows:
        say("no result file: nothing is finished")
    elif tree is not None and tree.endswith("+"):
        say(f"no result file: the tree differs from its commit ({tree}); commit, run this again: it trains nothing")
    else:
        write_record(record, results)
