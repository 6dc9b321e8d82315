"""The documents of a run: read, and a share of them held out where none are given to measure by."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from transformers import PreTrainedTokenizerBase

from nysformer.data.documents import Documents, load_documents
from nysformer.data.groups import near_duplicate_groups
from nysformer.data.holdout import Holdout, hold_out
from nysformer.data.reader import ReadLog
from nysformer.data.reading import Layout
from nysformer.data.records import Record
from nysformer.tasks.base import Task
from nysformer.tasks.fitting import naming_fitting_tasks
from nysformer.tasks.registry import task_class
from nysformer.training.options import FinetuneOptions
from nysformer.training.settings import TrainingOptions

__all__ = ["RunDocuments", "Texts", "read_documents", "read_texts"]


@dataclass(frozen=True, kw_only=True)
class Texts:
    """Documents in two parts.

    Attributes:
        train: to train on.
        valid: to measure by.
        logs: what reading "train" and "valid" met.
        notes: what the user should know of the held-out share, line by line.
        groups: of the documents to train on, a number each; None where every document stands by itself.
    """

    train: Documents
    valid: Documents
    logs: dict[str, ReadLog] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    groups: NDArray[np.int64] | None = None


@dataclass(frozen=True, kw_only=True)
class RunDocuments(Texts):
    """What a run was given, read.

    Attributes:
        task: of the training documents.
    """

    task: Task[Any, Any]


def read_documents(
    options: FinetuneOptions,
    known: Task[Any, Any] | None = None,
    tokenizer: PreTrainedTokenizerBase | None = None,
) -> RunDocuments:
    """Read the documents of a fine-tuning run.

    Args:
        options: of the run.
        known: the task of the model to begin with, if it is of the same kind: the order of its labels is kept where the
            documents have the same ones.
        tokenizer: of that model.

    Raises:
        NysformerError: documents or labels are unusable; no share can be held out.
    """
    kind = task_class(options.task)
    settings = {"problem_type": options.problem_type}
    logs = {"train": ReadLog()}
    with naming_fitting_tasks(options.task, options.read_options(), "task={}"):
        given = _load(options.train, options, kind.layouts_for(settings), logs["train"])
    task = kind.from_records(given, settings, known, tokenizer)
    texts = _two_parts(given, options, task.own_layouts, logs, task.stratum, task.label_names)
    return RunDocuments(**vars(texts), task=task)


def read_texts(options: TrainingOptions, layouts: Sequence[Layout]) -> Texts:
    """Read documents without labels; what cannot be read, such as an empty file in a folder, is left out and logged.

    Raises:
        NysformerError: no document is usable; no share can be held out.
    """
    logs = {"train": ReadLog()}
    given = _load(options.train, options, layouts, logs["train"], lenient=True)
    return _two_parts(given, options, layouts, logs, lenient=True)


def _load(
    data: Any, options: TrainingOptions, layouts: Sequence[Layout], log: ReadLog, *, lenient: bool = False
) -> Documents:
    return load_documents(data, options.read_options(), layouts, labelled=True, log=log, lenient=lenient)


def _two_parts(
    given: Documents,
    options: TrainingOptions,
    layouts: Sequence[Layout],
    logs: dict[str, ReadLog],
    stratum: Callable[[Record], str] | None = None,
    names: Sequence[str] = (),
    *,
    lenient: bool = False,
) -> Texts:
    """The documents to train on as they were given, or without a share, and those to measure by.

    Args:
        given: to train on.
        options: of the run.
        layouts: of the documents to measure by.
        logs: is told what reading those meets.
        stratum: each gives its share; None where there are none.
        names: of the strata.
        lenient: see `load_documents`.
    """
    groups = _groups(given, options)
    if options.has_validation:
        logs["valid"] = ReadLog()
        valid = _load(options.valid, options, layouts, logs["valid"], lenient=lenient)
        return Texts(train=given, valid=valid, logs=logs, groups=groups)
    split = _hold_out(given, options, stratum, names, groups)
    train, held = (given.select(part.tolist()) for part in (split.train, split.valid))
    groups = None if groups is None else groups[split.train]
    return Texts(train=train, valid=held, logs=logs, notes=split.notes, groups=groups)


def _groups(documents: Documents, options: TrainingOptions) -> NDArray[np.int64] | None:
    """A number per document; None where every document stands by itself."""
    if options.group_column is None and not options.group_near_duplicates:
        return None
    keys = [f"document {place}" if group is None else f"group {group}" for place, group in enumerate(documents.groups)]
    if options.group_near_duplicates:
        return near_duplicate_groups([record.text for record in documents], keys)
    return np.unique(keys, return_inverse=True)[1]


def _hold_out(
    documents: Documents,
    options: TrainingOptions,
    stratum: Callable[[Record], str] | None,
    names: Sequence[str],
    groups: NDArray[np.int64] | None,
) -> Holdout:
    """Which documents to hold out."""
    assert options.valid_share is not None
    strata = [""] * len(documents) if stratum is None else [stratum(record) for record in documents]
    names = [name for name in names if name in set(strata)] or [""]
    number = {name: place for place, name in enumerate(names)}
    return hold_out([number[each] for each in strata], names, options.valid_share, groups=groups, seed=options.seed)
