"""Training and validation documents of a run: what they are, what is trained on, what is held out."""

from __future__ import annotations

import hashlib
import json
from array import array
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from transformers import PreTrainedTokenizerBase

from nysformer.data.documents import Documents, load_documents
from nysformer.data.framing import Encoder
from nysformer.data.groups import near_duplicate_groups
from nysformer.data.holdout import Holdout, hold_out
from nysformer.data.reader import ReadLog
from nysformer.data.records import Record, RecordError
from nysformer.errors import NysformerError
from nysformer.tasks.base import Encoding, Example, Task
from nysformer.tasks.encode import encode_records
from nysformer.tasks.reading import Reading
from nysformer.tasks.registry import task_class
from nysformer.training.examples import Examples, store_examples
from nysformer.training.options import FinetuneOptions

__all__ = ["Corpus", "Part", "RunDocuments", "build_corpus", "read_documents"]

_TOGETHER = 64
"""Documents that are tokenized in one call."""


@dataclass(frozen=True)
class RunDocuments:
    """What a run was given, read.

    Attributes:
        task: of the training documents.
        train: training documents.
        valid: validation documents; None where a share of the others is held out.
        logs: what reading "train" and "valid" met.
    """

    task: Task[Any, Any]
    train: Documents
    valid: Documents | None
    logs: dict[str, ReadLog] = field(default_factory=dict)


@dataclass
class Part:
    """What one part of the documents holds, counted as it is encoded.

    Attributes:
        tokens: that are read, special ones included.
        truncated: documents of which something is not read.
        labels: documents by category (see `Task.categories`).
        lengths: tokens of each document before any cut.
        targets: of each document, for the fingerprint.
    """

    tokens: int = 0
    truncated: int = 0
    labels: Counter[str] = field(default_factory=Counter)
    lengths: array[int] = field(default_factory=lambda: array("q"))
    targets: bytearray = field(default_factory=bytearray)

    def add(self, encoding: Encoding, categories: Sequence[str]) -> None:
        """Count one document."""
        self.tokens += sum(example.num_tokens for example in encoding.examples)
        self.truncated += encoding.truncated
        self.labels.update(categories)
        self.lengths.append(encoding.length)
        self.targets += _target_bytes(encoding.examples)

    def as_json(self, names: Sequence[str]) -> dict[str, Any]:
        """What `run.json` says of it; `names` are all labels there may be."""
        counts = {"documents": len(self.lengths), "tokens": self.tokens, "truncated": self.truncated}
        return counts | {"labels": {name: self.labels[name] for name in names}}


@dataclass(frozen=True)
class Corpus:
    """What a run trains on and is measured by.

    Attributes:
        task: knows the labels.
        encoder: of the model's tokenizer, with the tokens that are read at a time.
        reading: how a document that does not fit is read.
        trained: documents to train on.
        train: their examples.
        valid: documents to measure by.
        parts: what "train" and "valid" hold.
        notes: what the user should know of the held-out share, line by line.
    """

    task: Task[Any, Any]
    encoder: Encoder
    reading: Reading
    trained: Documents
    train: Examples
    valid: Documents
    parts: dict[str, Part]
    notes: list[str] = field(default_factory=list)

    @property
    def max_length(self) -> int:
        """Tokens that are read at a time."""
        return self.encoder.max_length

    @property
    def fingerprint(self) -> str:
        """Of the labels' names and every document's length and target, in order."""
        digest = hashlib.sha256("\n".join(self.task.label_names).encode())
        for part in self.parts.values():
            digest.update(np.asarray(part.lengths, dtype=np.int64).tobytes())
            digest.update(part.targets)
        return digest.hexdigest()

    def as_json(self) -> dict[str, Any]:
        """What `run.json` says of the documents."""
        parts = {name: part.as_json(self.task.label_names) for name, part in self.parts.items()}
        return {**parts, "max_length": self.max_length, "fingerprint": self.fingerprint}

    def summary(self) -> list[str]:
        """A line for the user on each part, and the notes."""
        parts = [
            f"{words}: {len(self.parts[name].lengths):,} documents, {self.parts[name].tokens:,} tokens, "
            f"{self.parts[name].truncated:,} documents cut to {self.max_length:,} tokens"
            for name, words in (("train", "training"), ("valid", "validation"))
        ]
        return [*self.notes, *parts]


def read_documents(
    options: FinetuneOptions,
    known: Task[Any, Any] | None = None,
    tokenizer: PreTrainedTokenizerBase | None = None,
) -> RunDocuments:
    """Read the documents of a run.

    Args:
        options: of the run.
        known: the task of the model to begin with, if it is of the same kind: the order of its labels is kept where the
            training documents have the same ones.
        tokenizer: of that model.

    Raises:
        NysformerError: documents or labels are unusable.
    """
    kind = task_class(options.task)
    settings = {"problem_type": options.problem_type}
    layouts = kind.layouts_for(settings)
    logs = {"train": ReadLog()}
    train = load_documents(options.train, options.read_options(), layouts, labelled=True, log=logs["train"])
    task = kind.from_records(train, settings, known, tokenizer)
    valid = None
    if options.has_validation:
        logs["valid"] = ReadLog()
        valid = load_documents(
            options.valid, options.read_options(), task.own_layouts, labelled=True, log=logs["valid"]
        )
    return RunDocuments(task, train, valid, logs)


def build_corpus(
    documents: RunDocuments, options: FinetuneOptions, tokenizer: PreTrainedTokenizerBase, longest: int
) -> Corpus:
    """Encode the documents of a run, and hold validation documents out where none are given.

    Args:
        documents: from `read_documents`.
        options: of the run.
        tokenizer: of its model.
        longest: tokens its model can read at a time.

    Raises:
        NysformerError: `max_length` is beyond `longest`; a document has no tokens; no share can be held out.
    """
    max_length = longest if options.max_length is None else options.max_length
    if max_length > longest:
        raise NysformerError(
            f"max_length: {max_length} tokens are more than the {longest} positions of {options.model}; lower it, or "
            "extend the model first with model.extend_positions"
        )
    encoder = Encoder(tokenizer, max_length)
    reading = Reading(strategy=options.reading, overlap=options.overlap).on_side(tokenizer.truncation_side)
    task, train, valid, notes = documents.task, documents.train, documents.valid, []
    if valid is None:
        split = _hold_out(train, task, options)
        train, valid, notes = train.select(split.train.tolist()), train.select(split.valid.tolist()), split.notes
    parts = {"train": Part(), "valid": Part()}
    examples = store_examples(_examples(train, task, encoder, reading, parts["train"]))
    for _ in _examples(valid, task, encoder, reading, parts["valid"]):
        pass  # counted, and every label looked at before the training; the documents are encoded as they are measured
    return Corpus(task, encoder, reading, train, examples, valid, parts, notes)


def _examples(
    documents: Documents, task: Task[Any, Any], encoder: Encoder, reading: Reading, part: Part
) -> Iterator[Example]:
    """The examples of labelled documents, each of which is counted in `part`."""
    for records in _chunks(documents):
        encodings = encode_records(records, task, encoder, reading, labelled=True)
        for record, encoding in zip(records, encodings, strict=True):
            if isinstance(encoding, RecordError):
                raise NysformerError(f"{encoding}; fix or remove it")
            part.add(encoding, task.categories(record))
            yield from encoding.examples


def _chunks(documents: Documents) -> Iterator[list[Record]]:
    chunk: list[Record] = []
    for record in documents:
        chunk.append(record)
        if len(chunk) == _TOGETHER:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


def _target_bytes(examples: Sequence[Example]) -> bytes:
    """Targets for a fingerprint: small whole numbers as they are, anything else as a digest."""
    values = [value for example in examples for value in example.targets.values()]
    if all(isinstance(value, int) for value in values):
        return np.asarray(values, dtype=np.int64).tobytes()
    return hashlib.sha256(json.dumps(values).encode()).digest()


def _hold_out(documents: Documents, task: Task[Any, Any], options: FinetuneOptions) -> Holdout:
    """Which documents to hold out."""
    groups = None
    if options.group_column is not None or options.group_near_duplicates:
        keys = [
            f"document {place}" if group is None else f"group {group}" for place, group in enumerate(documents.groups)
        ]
        if options.group_near_duplicates:
            groups = near_duplicate_groups([record.text for record in documents], keys)
        else:
            groups = np.unique(keys, return_inverse=True)[1]
    assert options.valid_share is not None
    strata = [task.stratum(record) for record in documents]
    names = [name for name in task.label_names if name in set(strata)] or [""]
    number = {name: place for place, name in enumerate(names)}
    return hold_out(
        [number[stratum] for stratum in strata], names, options.valid_share, groups=groups, seed=options.seed
    )
