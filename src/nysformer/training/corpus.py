"""Training and validation documents of a run, as token ids and label indices."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

import datasets
import numpy as np
from transformers import PreTrainedTokenizerBase

from nysformer.data.documents import load_documents
from nysformer.data.groups import near_duplicate_groups
from nysformer.data.holdout import Holdout, hold_out
from nysformer.data.reader import ReadLog
from nysformer.data.tokens import encode_labels, label_table, tokenize
from nysformer.errors import NysformerError
from nysformer.training.options import FinetuneOptions

__all__ = ["Corpus", "Documents", "build_corpus", "read_documents"]


class Documents(NamedTuple):
    """Texts with the columns `text`, `labels` and `source`; no validation documents where a share is held out.

    Attributes:
        train: training documents, with a column `group` where the run has a `group_column`.
        valid: validation documents.
        labels: the labels' names, in the order of their indices.
        logs: what reading "train" and "valid" met.
    """

    train: datasets.Dataset
    valid: datasets.Dataset | None
    labels: list[str]
    logs: dict[str, ReadLog] = {}  # noqa: RUF012  # never changed


@dataclass(frozen=True)
class Corpus:
    """Documents with the columns `input_ids`, `length`, `truncated`, `labels` and `source`.

    Attributes:
        parts: "train" and "valid".
        labels: their names, in the order of their indices.
        max_length: tokens to which a longer document was cut.
        notes: what the user should know of the held-out share, line by line.
    """

    parts: dict[str, datasets.Dataset]
    labels: list[str]
    max_length: int
    notes: list[str] = field(default_factory=list)

    def lengths(self, part: str) -> list[int]:
        """Tokens of each document after the cut."""
        return [min(length, self.max_length) for length in self.parts[part]["length"]]

    @cached_property
    def truncated(self) -> dict[str, int]:
        """How many documents of each part were cut."""
        return {name: sum(part["truncated"]) for name, part in self.parts.items()}

    @cached_property
    def fingerprint(self) -> str:
        """Of the labels' names and every document's length and label, in order."""
        digest = hashlib.sha256("\n".join(self.labels).encode())
        for part in self.parts.values():
            for column in ("length", "labels"):
                digest.update(np.asarray(part[column], dtype=np.int64).tobytes())
        return digest.hexdigest()

    def as_json(self) -> dict[str, Any]:
        """What `run.json` says of the documents."""
        parts: dict[str, Any] = {}
        for name, part in self.parts.items():
            counts = np.bincount(part["labels"], minlength=len(self.labels)).tolist()
            parts[name] = {
                "documents": len(part),
                "tokens": sum(self.lengths(name)),
                "truncated": self.truncated[name],
                "labels": dict(zip(self.labels, counts, strict=True)),
            }
        return {**parts, "max_length": self.max_length, "fingerprint": self.fingerprint}

    def summary(self) -> list[str]:
        """A line for the user on each part, and the notes."""
        parts = [
            f"{words}: {len(self.parts[name]):,} documents, {sum(self.lengths(name)):,} tokens, "
            f"{self.truncated[name]:,} documents cut to {self.max_length:,} tokens"
            for name, words in (("train", "training"), ("valid", "validation"))
        ]
        return [*self.notes, *parts]


def read_documents(options: FinetuneOptions, known: Sequence[str] = ()) -> Documents:
    """Read the files of a run.

    Args:
        options: of the run.
        known: the labels of the model's head, whose order is kept where the training documents have the same ones.

    Raises:
        NysformerError: documents or labels are unusable.
    """
    logs = {"train": ReadLog()}
    train = _read(options.train, options, logs["train"])
    labels = label_table(train)
    if len(labels) < 2:
        raise NysformerError(
            f"train: every document has the same label ({labels[0]}); give at least two labels, and where "
            "folders further down are the labels, name the folder that holds those, or label_from='parent'"
        )
    if set(labels) == set(known):
        labels = list(known)
    valid = None
    if options.valid:
        logs["valid"] = ReadLog()
        valid = encode_labels(_read(options.valid, options, logs["valid"]), labels)
    return Documents(encode_labels(train, labels), valid, labels, logs)


def _read(sources: Sequence[str], options: FinetuneOptions, log: ReadLog) -> datasets.Dataset:
    documents = load_documents(sources, options.reading(), labelled=True, log=log)
    return documents.as_dataset(labelled=True, grouped=options.group_column is not None)


def build_corpus(
    documents: Documents, options: FinetuneOptions, tokenizer: PreTrainedTokenizerBase, longest: int
) -> Corpus:
    """Tokenize and cut the documents of a run, and hold validation documents out where none are given.

    Args:
        documents: from `read_documents`.
        options: of the run.
        tokenizer: of its model.
        longest: tokens its model can read.

    Raises:
        NysformerError: `max_length` is beyond `longest`; a document has no tokens; no share can be held out.
    """
    max_length = longest if options.max_length is None else options.max_length
    if max_length > longest:
        raise NysformerError(
            f"max_length: {max_length} tokens are more than the {longest} positions of {options.model}; lower it, or "
            "extend the model first with model.extend_positions"
        )
    notes = []
    train = tokenize(documents.train, tokenizer, max_length)
    if documents.valid is None:
        split = _hold_out(documents.train, documents.labels, options)
        valid = train.select(split.valid)
        train = train.select(split.train)
        notes = split.notes
    else:
        valid = tokenize(documents.valid, tokenizer, max_length)
    parts = {"train": train, "valid": valid}
    if options.group_column is not None:
        parts = {name: part.remove_columns("group") for name, part in parts.items()}
    return Corpus(parts, documents.labels, max_length, notes)


def _hold_out(documents: datasets.Dataset, names: list[str], options: FinetuneOptions) -> Holdout:
    """Which documents to hold out, of those with their texts."""
    groups = None
    if options.group_column is not None or options.group_near_duplicates:
        own = [f"document {place}" for place in range(len(documents))]
        if options.group_column is not None:
            keys = [
                alone if group is None else f"group {group}"
                for alone, group in zip(own, documents["group"], strict=True)
            ]
        else:
            keys = own
        if options.group_near_duplicates:
            groups = near_duplicate_groups(documents["text"], keys)
        else:
            groups = np.unique(keys, return_inverse=True)[1]
    assert options.valid_share is not None
    return hold_out(documents["labels"], names, options.valid_share, groups=groups, seed=options.seed)
