"""What a run trains on and is measured by: documents as the model reads them, counted."""

from __future__ import annotations

import hashlib
from array import array
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from transformers import PreTrainedTokenizerBase

from nysformer.data.documents import Documents
from nysformer.data.framing import Encoder
from nysformer.data.records import Record, RecordError
from nysformer.errors import NysformerError
from nysformer.tasks.base import Encoding, Example, Task
from nysformer.tasks.encode import encode_records
from nysformer.tasks.reading import Reading
from nysformer.training.documents import RunDocuments
from nysformer.training.examples import Examples, store_examples
from nysformer.training.settings import TrainingOptions

__all__ = ["Corpus", "Part", "build_corpus"]

_TOGETHER = 64
"""Documents that are tokenized in one call."""


@dataclass
class Part:
    """What one part of the documents holds, counted as it is encoded.

    Attributes:
        tokens: that are read, special ones included.
        truncated: documents of which something is not read.
        labels: documents by category (see `Task.categories`).
        lengths: tokens of each document before any cut.
        pieces: examples of each document.
        targets: of each document, for the fingerprint.
    """

    tokens: int = 0
    truncated: int = 0
    labels: Counter[str] = field(default_factory=Counter)
    lengths: array[int] = field(default_factory=lambda: array("q"))
    pieces: array[int] = field(default_factory=lambda: array("q"))
    targets: bytearray = field(default_factory=bytearray)

    def add(self, encoding: Encoding, categories: Sequence[str], target_bytes: bytes) -> None:
        """Count one document."""
        self.tokens += sum(example.num_tokens for example in encoding.examples)
        self.truncated += encoding.truncated
        self.labels.update(categories)
        self.lengths.append(encoding.length)
        self.pieces.append(len(encoding.examples))
        self.targets += target_bytes

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
        whole: their examples for a last phase, each a document; None where there is none.
        valid: documents to measure by.
        parts: what "train" and "valid" hold.
        notes: what the user should know of the held-out share, line by line.
        groups: of the documents to train on, a number each; None where every document stands by itself.
    """

    task: Task[Any, Any]
    encoder: Encoder
    reading: Reading
    trained: Documents
    train: Examples
    valid: Documents
    parts: dict[str, Part]
    notes: list[str] = field(default_factory=list)
    groups: NDArray[np.int64] | None = None
    whole: Examples | None = None

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


def build_corpus(
    documents: RunDocuments,
    options: TrainingOptions,
    tokenizer: PreTrainedTokenizerBase,
    longest: int,
    final_whole: float = 0.0,
) -> Corpus:
    """Encode the documents of a run.

    Args:
        documents: of it.
        options: of the run.
        tokenizer: of its model.
        longest: tokens its model can read at a time.
        final_whole: share of the run that reads whole documents. Where it is not 0, documents are measured so, too.

    Raises:
        NysformerError: `max_length` is beyond `longest`; a document has no tokens; `final_whole`, and documents are
            read whole already.
    """
    max_length = longest if options.max_length is None else options.max_length
    if max_length > longest:
        raise NysformerError(
            f"max_length: {max_length} tokens are more than the {longest} positions of {options.model}; lower it, or "
            "extend the model first with model.extend_positions"
        )
    encoder = Encoder(tokenizer, max_length)
    reading = Reading(strategy=options.reading, overlap=options.overlap).on_side(tokenizer.truncation_side)
    task, train, valid = documents.task, documents.train, documents.valid
    parts = {"train": Part(), "valid": Part()}
    examples = store_examples(_examples(train, task, encoder, reading, parts["train"]))
    whole, notes = None, documents.notes
    if final_whole:
        if reading.strategy == "whole" and max_length == longest:
            raise NysformerError("final_whole: documents are read whole from the beginning; leave it out")
        encoder, reading = Encoder(tokenizer, longest), Reading().on_side(tokenizer.truncation_side)
        late = Part()
        whole = store_examples(_examples(train, task, encoder, reading, late))
        parts["train"].truncated = late.truncated
        notes = [
            *notes,
            f"the last {final_whole:.0%} of the run reads whole documents, up to {longest:,} tokens, and so are "
            "documents measured",
        ]
    for _ in _examples(valid, task, encoder, reading, parts["valid"]):
        pass  # counted, and every label looked at before the training; the documents are encoded as they are measured
    return Corpus(task, encoder, reading, train, examples, valid, parts, notes, documents.groups, whole)


def _examples(
    documents: Documents, task: Task[Any, Any], encoder: Encoder, reading: Reading, part: Part
) -> Iterator[Example]:
    """The examples of labelled documents, each of which is counted in `part`."""
    for records in _chunks(documents):
        encodings = encode_records(records, task, encoder, reading, labelled=True)
        for record, encoding in zip(records, encodings, strict=True):
            if isinstance(encoding, RecordError):
                raise NysformerError(f"{encoding}; fix or remove it")
            part.add(encoding, task.categories(record), task.target_bytes(encoding.examples))
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
