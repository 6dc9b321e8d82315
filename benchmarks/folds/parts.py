"""The parts of a round: which documents are trained on, choose the checkpoint, and are predicted."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.model_selection import StratifiedGroupKFold

from benchmarks.folds.plan import Plan
from benchmarks.recipes.corpus import SPLITS, Corpus, Row, read_rows
from benchmarks.recipes.splits import held_out
from nysformer.errors import NysformerError
from nysformer.files.atomic import write_atomically
from nysformer.files.cache import read_record, write_record

__all__ = ["Part", "make_parts"]

_RECORD = "part.json"
_FORM = 1  # of the files; another one makes them anew


@dataclass(frozen=True, slots=True)
class Part:
    """One fold of one seed's round over a data set.

    Attributes:
        directory: holds train.jsonl, valid.jsonl and test.jsonl: rows of `id`, `text`, `label` and `group`.
        data, seed, fold: what it is; folds count from 0.
        title: for a reader.
        files: the SHA-256 of the three.
    """

    directory: Path
    data: str
    seed: int
    fold: int
    title: str
    files: Mapping[str, str]

    def path(self, split: str) -> Path:
        return self.directory / f"{split}.jsonl"

    def rows(self, split: str) -> list[Row]:
        return read_rows(self.path(split))


def make_parts(corpus: Corpus, plan: Plan, data: str, output_dir: Path, *, folds: int, seeds: int) -> list[Part]:
    """Write the parts of a data set, or leave those that stand there if they are the same and whole.

    With folds, all documents of the data set are divided by group, stratified by label; without, the test documents
    are those of the data set. The validation documents are a share of the training documents, in whole groups.

    Args:
        corpus: the data set.
        plan: says how it is divided.
        data: its name.
        output_dir: a folder per data set and part goes there.
        folds: how many of the plan's folds are wanted, from the first.
        seeds: how many of its seeds, from the first.

    Returns:
        The parts, the first seed's first.

    Raises:
        NysformerError: too few documents or groups to divide.
    """
    sides = {split: _numbered(corpus.rows(split), split) for split in SPLITS}
    every = sorted((row for rows in sides.values() for row in rows), key=lambda row: row["id"])
    parts = []
    for seed in plan.seeds[:seeds]:
        for fold in range(1 if plan.folds is None else min(folds, plan.folds)):
            name = f"seed-{seed}" if plan.folds is None else f"seed-{seed}-fold-{fold + 1}-of-{plan.folds}"
            title = f"{data}, seed {seed}" + ("" if plan.folds is None else f", fold {fold + 1} of {plan.folds}")
            directory = output_dir / data / name
            recipe = {
                "data": data,
                "files": dict(corpus.readme["files"]),
                "seed": seed,
                "fold": fold,
                "folds": plan.folds,
                "valid_share": plan.valid_share,
                "form": _FORM,
            }
            record = read_record(directory / _RECORD, recipe)
            if record is None:
                if plan.folds is None:
                    train, test = [*sides["train"], *sides["valid"]], sides["test"]
                else:
                    train, test = _divided(data, every, plan.folds, seed)[fold]
                record = _write(directory, recipe, train, test, plan.valid_share, seed)
            parts.append(Part(directory, data, seed, fold, title, record["files"]))
    return parts


def _numbered(rows: Sequence[Row], split: str) -> list[Row]:
    """The rows with what is needed of them; one that belongs to no group is one by itself."""
    return [
        {
            "id": row.get("id", f"{split}-{place}"),
            "text": row["text"],
            "label": row["label"],
            "group": row.get("group", f"{split}-{place}"),
        }
        for place, row in enumerate(rows)
    ]


def _divided(data: str, rows: Sequence[Row], folds: int, seed: int) -> list[tuple[list[Row], list[Row]]]:
    """Training and test rows of each fold."""
    labels = [row["label"] for row in rows]
    groups = _numbers(rows)
    deal = StratifiedGroupKFold(n_splits=folds, shuffle=True, random_state=seed)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "The least populated class")
            dealt = list(deal.split(np.zeros(len(rows)), labels, groups))
    except ValueError as error:
        raise NysformerError(f"{data}: cannot be divided into {folds} folds ({error}); give fewer") from error
    return [([rows[place] for place in train], [rows[place] for place in test]) for train, test in dealt]


def _numbers(rows: Sequence[Row]) -> list[int]:
    """The rows' groups, numbered."""
    return np.unique([str(row["group"]) for row in rows], return_inverse=True)[1].tolist()


def _write(
    directory: Path, recipe: Mapping[str, Any], train: Sequence[Row], test: Sequence[Row], share: float, seed: int
) -> dict[str, Any]:
    chosen = held_out([row["label"] for row in train], share, seed, _numbers(train))
    splits = {
        "train": [row for place, row in enumerate(train) if place not in chosen],
        "valid": [row for place, row in enumerate(train) if place in chosen],
        "test": test,
    }
    directory.mkdir(parents=True, exist_ok=True)
    for split, rows in splits.items():
        with write_atomically(directory / f"{split}.jsonl") as file:
            for row in rows:
                file.write(json.dumps(row, ensure_ascii=False) + "\n")
    return write_record(
        directory / _RECORD,
        recipe,
        [f"{split}.jsonl" for split in SPLITS],
        documents={split: len(rows) for split, rows in splits.items()},
    )
