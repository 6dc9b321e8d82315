"""A data set on disk: train, valid and test as JSON Lines, and `README.json`, which says what they are."""

from __future__ import annotations

import json
import statistics
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nysformer.errors import NysformerError
from nysformer.files.atomic import write_atomically
from nysformer.files.cache import read_record, write_record
from nysformer.files.locks import lock_folder

__all__ = ["README", "SPLITS", "Corpus", "Row", "Rows", "Source", "build_corpus", "label_counts", "read_rows"]

SPLITS = ("train", "valid", "test")
README = "README.json"
_FORM = 1  # of the files; another one makes them anew

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Source:
    """Where a data set comes from.

    Attributes:
        package: name and version, or what is read of the machine.
        licence: of the texts.
        citation: who is to be named.
    """

    package: str
    licence: str
    citation: str


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows of each split, and what the reader of the figures must know, line by line."""

    splits: Mapping[str, Sequence[Row]]
    notes: Sequence[str] = field(default_factory=tuple)


@dataclass(frozen=True, slots=True)
class Corpus:
    """A data set on disk.

    Attributes:
        directory: holds train.jsonl, valid.jsonl, test.jsonl and README.json.
        readme: what README.json says.
    """

    directory: Path
    readme: Mapping[str, Any]

    def rows(self, split: str) -> list[Row]:
        return read_rows(self.directory / f"{split}.jsonl")


def read_rows(path: Path) -> list[Row]:
    """The rows of a JSON Lines file."""
    with path.open(encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def build_corpus(
    directory: Path,
    make: Callable[[], Rows],
    *,
    name: str,
    task: str,
    document: str,
    derived: bool,
    source: Source,
    seed: int,
) -> Corpus:
    """Write a data set, or leave what stands there if it is the same and whole.

    The three files are written atomically, README.json last: a build that was killed leaves none and is done again.

    Args:
        directory: made if absent.
        make: makes the rows.
        name: of the data set.
        task: whose default columns the rows have.
        document: the column that holds the document, a text or a list of words.
        derived: whether the question was made from other fields, and not asked by those who made the data.
        source: where the texts come from.
        seed: of the split.

    Raises:
        NysformerError: what `make` raises; a split is empty; `directory` cannot be written or is being written.
    """
    recipe = {"data": name, "package": source.package, "seed": seed, "form": _FORM}
    readme = read_record(directory / README, recipe)
    if readme is not None:
        return Corpus(directory, readme)
    start = time.perf_counter()
    made = make()
    for split in SPLITS:
        if not made.splits[split]:
            raise NysformerError(f"{name}: the {split} split is empty; the source holds too few documents")
    directory.mkdir(parents=True, exist_ok=True)
    with lock_folder(directory):
        (directory / README).unlink(missing_ok=True)
        for split in SPLITS:
            with write_atomically(directory / f"{split}.jsonl") as file:
                for row in made.splits[split]:
                    file.write(json.dumps(row, ensure_ascii=False) + "\n")
        readme = write_record(
            directory / README,
            recipe,
            [f"{split}.jsonl" for split in SPLITS],
            task=task,
            derived=derived,
            columns=list(made.splits["test"][0]),
            source=source.package,
            licence=source.licence,
            citation=source.citation,
            notes=list(made.notes),
            splits={split: _described(made.splits[split], document) for split in SPLITS},
            seconds=round(time.perf_counter() - start, 1),
        )
    return Corpus(directory, readme)


def _described(rows: Sequence[Row], document: str) -> Row:
    """Rows, words per document and, where the rows have names as labels, the rows of each."""
    words = [len(value if isinstance(value, list) else value.split()) for value in (row[document] for row in rows)]
    described: Row = {"rows": len(rows), "median_words": int(statistics.median(words)), "longest_words": max(words)}
    labels = label_counts(rows)
    return described | ({"labels": labels} if labels else {})


def label_counts(rows: Sequence[Row]) -> dict[str, int]:
    """Rows per label name, for one name or several per row; empty where labels are numbers.

    Example:
        >>> label_counts([{"label": "a"}, {"label": ["a", "b"]}, {"label": 3}])
        {'a': 2, 'b': 1}
    """
    counts: Counter[str] = Counter()
    for row in rows:
        label = row.get("label")
        counts.update([label] if isinstance(label, str) else label if isinstance(label, list) else [])
    return dict(sorted(counts.items()))
