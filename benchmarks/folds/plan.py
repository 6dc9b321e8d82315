"""A plan: data sets, how they are divided, the systems that are trained on them, and the bars they have to clear."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.commands import command_flags
from benchmarks.fields import Fields, check_fields, read_fields
from benchmarks.folds.tfidf import TFIDF
from benchmarks.recipes.registry import DATA_SETS
from nysformer.errors import NysformerError
from nysformer.inference.options import InferenceOptions
from nysformer.training.options import FinetuneOptions

__all__ = ["METRICS", "TASK", "Bar", "Plan", "System", "load_plan", "slug"]

TASK = "sequence-classification"
METRICS = {
    "accuracy": "accuracy",
    "macro_f1": "macro-F1",
    "long_accuracy": "accuracy on long texts",
    "long_macro_f1": "macro-F1 on long texts",
}
"""What is measured of each system, and what it is called."""

_NAME = re.compile(r"[\w .+-]+")
_FILES = ("train", "valid", "output", "seed", "resume", "overwrite", "task")  # filled in by the runs


@dataclass(frozen=True, slots=True, kw_only=True)
class System:
    """A training, and the ways in which its model reads the documents.

    Attributes:
        name: of letters, digits, blanks and .+-
        options: of `FinetuneOptions`; files, folders and the seed are added, and so is `model`, where it is not given:
            the packaged MiniLM, converted.
        encoder: of `convert_minilm`, beside the number of positions.
        versions_per_group: training documents kept of a group of near-duplicates; None for all.
        evaluations: name -> fields of `InferenceOptions`.
    """

    name: str
    options: Mapping[str, Any]
    encoder: Mapping[str, Any]
    versions_per_group: int | None
    evaluations: Mapping[str, Mapping[str, Any]]

    def train_arguments(
        self, *, model: Path | str, train: Path, valid: Path, output: Path, seed: int, resume: bool = False
    ) -> list[str]:
        """What follows `nysformer` on the command line that trains."""
        values = self._values(model=str(model), train=(str(train),), valid=(str(valid),), output=str(output), seed=seed)
        return ["finetune", *command_flags(FinetuneOptions, {**values, "resume": resume})]

    def row_name(self, evaluation: str) -> str:
        """What the table calls the system in one of its evaluations."""
        return f"{self.name}, {evaluation}"

    def check(self) -> None:
        """Refuse what cannot be meant.

        Raises:
            NysformerError: options that the commands do not have, or that cannot be meant.
        """
        from nysformer.demo.encoder import convert_minilm

        for name in _FILES:
            if name in self.options:
                raise NysformerError(f"options: {name}: is filled in; leave it out")
        try:
            FinetuneOptions(**self._values(model="encoder", train=("train",), valid=("valid",), output="run", seed=0))
        except TypeError as error:
            raise NysformerError(f"options: {error}; see `nysformer finetune --help`") from error
        for name, fields in self.evaluations.items():
            try:
                InferenceOptions(**fields)
            except TypeError as error:
                raise NysformerError(f"evaluations: {name}: {error}; see `nysformer predict --help`") from error
        known = set(inspect.signature(convert_minilm).parameters) - {"directory", "max_position_embeddings"}
        for name in self.encoder.keys() - known:
            raise NysformerError(f"encoder: {name}: is unknown; choose of {', '.join(sorted(known))}")
        if self.encoder and "model" in self.options:
            raise NysformerError("encoder: options name a model already; leave out one of the two")

    def _values(self, **files: Any) -> dict[str, Any]:
        return {"task": TASK, **files, **self.options}


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """What a figure has to reach: `at_least` a number, or more than another system's figure plus `by`."""

    system: str
    metric: str
    at_least: float | None
    above: str | None
    by: float
    data: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """One file of `folds/`.

    Attributes:
        name: of the file, without its suffix.
        title: of the table.
        about: what is asked of which documents, a paragraph.
        data: keys of `DATA_SETS`, of the task sequence classification.
        folds: how many; None for the data's own test documents.
        seeds: of the folds, the validation documents and the trainings; every seed is another round over all folds.
        valid_share: of the training documents, in groups of near-duplicates: they choose the checkpoint.
        positions: tokens that the encoder reads at most.
        systems: in the order in which they run.
        bars: for the table's rows.
    """

    name: str
    title: str
    about: str
    data: tuple[str, ...]
    folds: int | None
    seeds: tuple[int, ...]
    valid_share: float
    positions: int
    systems: tuple[System, ...]
    bars: tuple[Bar, ...]

    def row_names(self) -> list[str]:
        """The names of the table's rows, TF-IDF first."""
        return [*TFIDF, *(system.row_name(each) for system in self.systems for each in system.evaluations)]


def slug(name: str) -> str:
    """A name as part of a file's name.

    Example:
        >>> slug("TF-IDF + linear SVM, whole")
        'tf-idf-linear-svm-whole'
    """
    return "-".join(part for part in re.split(r"[^a-z0-9.]+", name.lower()) if part)


def load_plan(path: Path) -> Plan:
    """Read and check one file of `folds/`.

    Raises:
        NysformerError: it cannot be read, a field is missing, unknown, or not what it has to be, or a training or an
            evaluation has options that cannot be meant.
    """
    content = read_fields(path, _PLAN, {"about": "", "folds": None, "seeds": [0], "bars": []})
    systems = tuple(_system(f"{path}: systems: {name}", str(name), found) for name, found in content["systems"].items())
    plan = Plan(
        name=path.stem,
        systems=systems,
        bars=tuple(_bar(f"{path}: bars: {place}", found) for place, found in enumerate(content["bars"], 1)),
        data=tuple(content["data"]),
        seeds=tuple(content["seeds"]),
        **{name: content[name] for name in ("title", "about", "folds", "valid_share", "positions")},
    )
    folders = [slug(name) for name in (*TFIDF, *(system.name for system in systems))]
    if len({*folders}) < len(folders):
        raise NysformerError(f"{path}: systems: two have one folder: {', '.join(folders)}; give them other names")
    for place, bar in enumerate(plan.bars, 1):
        for name in filter(None, (bar.system, bar.above)):
            if name not in plan.row_names():
                known = "; ".join(plan.row_names())
                raise NysformerError(f"{path}: bars: {place}: there is no row {name!r}; choose of: {known}")
        if bar.data not in (None, *plan.data):
            raise NysformerError(f"{path}: bars: {place}: data: {bar.data!r} is not measured here")
    return plan


def _system(place: str, name: str, found: Any) -> System:
    content = check_fields(place, found, _SYSTEM, {"encoder": {}, "versions_per_group": None})
    for each in (name, *content["evaluations"]):
        if not isinstance(each, str) or not _NAME.fullmatch(each):
            raise NysformerError(f"{place}: {each!r} is no name; use letters, digits, blanks, and .+-")
    if len({slug(each) for each in content["evaluations"]}) < len(content["evaluations"]):
        raise NysformerError(f"{place}: evaluations: two have nearly one name; give them other names")
    system = System(name=name, **content)
    try:
        system.check()
    except NysformerError as error:
        raise NysformerError(f"{place}: {error}") from error
    return system


def _bar(place: str, found: Any) -> Bar:
    content = check_fields(place, found, _BAR, {"at_least": None, "above": None, "by": 0.0, "data": None})
    if (content["at_least"] is None) == (content["above"] is None):
        raise NysformerError(f"{place}: give either at_least, a number, or above, the name of a row")
    return Bar(**content)


def _count(value: Any) -> bool:
    return type(value) is int and value > 0


def _number(value: Any) -> bool:
    return type(value) in (int, float)


_DATA = [name for name, one in DATA_SETS.items() if one.task == TASK]
_PLAN: Fields = {
    "title": ("a line of text", lambda value: isinstance(value, str)),
    "about": ("text", lambda value: isinstance(value, str)),
    "data": (
        f"a list of some of {', '.join(_DATA)}",
        lambda value: (
            isinstance(value, list)
            and bool(value)
            and all(each in DATA_SETS and DATA_SETS[each].task == TASK for each in value)
        ),
    ),
    "folds": ("a whole number above 1", lambda value: value is None or (type(value) is int and value > 1)),
    "seeds": (
        "a list of different whole numbers",
        lambda value: (
            isinstance(value, list)
            and bool(value)
            and all(type(each) is int and each >= 0 for each in value)
            and len({*value}) == len(value)
        ),
    ),
    "valid_share": ("a number above 0, below 1", lambda value: _number(value) and 0 < value < 1),
    "positions": ("a whole number", _count),
    "systems": ("names with values", lambda value: isinstance(value, dict)),
    "bars": ("a list", lambda value: isinstance(value, list)),
}
_SYSTEM: Fields = {
    "options": ("names with values", lambda value: isinstance(value, dict)),
    "encoder": ("names with values", lambda value: isinstance(value, dict)),
    "versions_per_group": ("a whole number", lambda value: value is None or _count(value)),
    "evaluations": (
        "names with values, each of which has names with values",
        lambda value: (
            isinstance(value, dict) and bool(value) and all(isinstance(each, dict) for each in value.values())
        ),
    ),
}
_BAR: Fields = {
    "system": ("the name of a row", lambda value: isinstance(value, str)),
    "metric": (f"one of {', '.join(METRICS)}", lambda value: value in METRICS),
    "at_least": ("a number", lambda value: value is None or _number(value)),
    "above": ("the name of a row", lambda value: value is None or isinstance(value, str)),
    "by": ("a number", _number),
    "data": ("the name of a data set", lambda value: value is None or isinstance(value, str)),
}
