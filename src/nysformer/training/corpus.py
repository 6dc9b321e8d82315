"""Training and validation documents of a run, as token ids and label indices."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import datasets
import numpy as np
from sklearn.model_selection import train_test_split
from transformers import PreTrainedTokenizerBase

from nysformer.data.documents import load_documents
from nysformer.data.tokens import encode_labels, label_table, tokenize
from nysformer.errors import NysformerError
from nysformer.training.options import FinetuneOptions

__all__ = ["Corpus", "Documents", "build_corpus", "read_documents"]


class Documents(NamedTuple):
    """Texts with the columns `text`, `labels` and `source`; no validation documents where a share is held out."""

    train: datasets.Dataset
    valid: datasets.Dataset | None
    labels: list[str]


@dataclass(frozen=True)
class Corpus:
    """Documents with the columns `input_ids`, `length`, `truncated`, `labels` and `source`.

    Attributes:
        parts: "train" and "valid".
        labels: their names, in the order of their indices.
        max_length: tokens to which a longer document was cut.
    """

    parts: dict[str, datasets.Dataset]
    labels: list[str]
    max_length: int

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
        """A line for the user on each part."""
        return [
            f"{words}: {len(self.parts[name]):,} documents, {sum(self.lengths(name)):,} tokens, "
            f"{self.truncated[name]:,} documents cut to {self.max_length:,} tokens"
            for name, words in (("train", "training"), ("valid", "validation"))
        ]


def read_documents(options: FinetuneOptions, known: Sequence[str] = ()) -> Documents:
    """Read the files of a run.

    Args:
        options: of the run.
        known: the labels of the model's head, whose order is kept where the training documents have the same ones.

    Raises:
        NysformerError: documents or labels are unusable.
    """
    columns = {"text_column": options.text_column, "label_column": options.label_column}
    train = load_documents(options.train, **columns)
    labels = label_table(train)
    if len(labels) < 2:
        raise NysformerError(f"train: every document has the same label ({labels[0]}); give at least two labels")
    if set(labels) == set(known):
        labels = list(known)
    valid = encode_labels(load_documents(options.valid, **columns), labels) if options.valid else None
    return Documents(encode_labels(train, labels), valid, labels)


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
    train = tokenize(documents.train, tokenizer, max_length)
    if documents.valid is None:
        train, valid = _hold_out(train, options)
    else:
        valid = tokenize(documents.valid, tokenizer, max_length)
    return Corpus({"train": train, "valid": valid}, documents.labels, max_length)


def _hold_out(dataset: datasets.Dataset, options: FinetuneOptions) -> tuple[datasets.Dataset, datasets.Dataset]:
    labels = np.asarray(dataset["labels"])
    try:
        train, valid = train_test_split(
            np.arange(len(labels)), test_size=options.valid_share, random_state=options.seed, stratify=labels
        )
    except ValueError as error:  # a label with a single document, or a share too small to hold every label
        reason = str(error).rstrip(".")
        raise NysformerError(f"valid_share: {options.valid_share}: {reason}; give validation documents") from error
    return dataset.select(np.sort(train)), dataset.select(np.sort(valid))
