"""Labelled token sequences in an Arrow file, written as they come, and batches of them.

Shapes: K sequences of a batch, T tokens of all of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray
from torch import Tensor

from nysformer.errors import NysformerError
from nysformer.files.atomic import check_parent, write_atomically
from nysformer.files.cache import read_record, write_record
from nysformer.ops import Layout

__all__ = ["Batch", "Sequences", "Splits", "stored"]

Example = tuple[NDArray[np.uint8], int]

_ROWS = 1000  # that are held while the file is written


@dataclass(frozen=True, slots=True)
class Batch:
    """K sequences end to end, shorter ones first.

    Attributes:
        tokens: (T,) int64.
        layout: of the sequences.
        labels: (K,) int64.
    """

    tokens: Tensor
    layout: Layout
    labels: Tensor


@dataclass(frozen=True, slots=True)
class Sequences:
    """Sequences end to end.

    Attributes:
        tokens: of all of them.
        offsets: where each begins, and where the last one ends.
        labels: one per sequence.
    """

    tokens: NDArray[np.uint8]
    offsets: NDArray[np.int64]
    labels: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Tokens per sequence."""
        return np.diff(self.offsets)

    @property
    def firsts(self) -> NDArray[np.uint8]:
        """The first token of each."""
        return self.tokens[self.offsets[:-1]]

    def batch(self, rows: Sequence[int] | NDArray[np.int64]) -> Batch:
        """The sequences in those rows."""
        rows = np.asarray(rows)
        rows = rows[np.argsort(self.lengths[rows], kind="stable")]
        parts = [self.tokens[self.offsets[row] : self.offsets[row + 1]] for row in rows]
        return Batch(
            torch.from_numpy(np.concatenate(parts).astype(np.int64)),
            Layout([len(part) for part in parts]),
            torch.from_numpy(self.labels[rows].astype(np.int64)),
        )

    def describe(self) -> dict[str, Any]:
        """How many there are, how long they are, and the share of each label."""
        shares = np.bincount(self.labels) / len(self)
        return {
            "sequences": len(self),
            "shortest": int(self.lengths.min()),
            "median_length": float(np.median(self.lengths)),
            "mean_length": round(float(self.lengths.mean()), 1),
            "longest": int(self.lengths.max()),
            "label_shares": [round(float(share), 4) for share in shares],
        }


@dataclass(frozen=True, slots=True)
class Splits:
    """What is trained on, what chooses among the states of a training, and what is read once at the end."""

    train: Sequences
    valid: Sequences
    test: Sequences

    def describe(self) -> dict[str, Any]:
        """The splits' statistics by their names."""
        return {name: getattr(self, name).describe() for name in self.__slots__}

    def by_first_token(self) -> float:
        """Test accuracy, in percent, of the commonest label that the first token has in the training split.

        On ListOps it is the outer operator: what a model reaches that reads nothing else.
        """
        counts = np.zeros((256, 256), dtype=np.int64)
        np.add.at(counts, (self.train.firsts, self.train.labels), 1)
        return 100 * float((counts.argmax(axis=1)[self.test.firsts] == self.test.labels).mean())


def stored(path: Path, recipe: Mapping[str, Any], sizes: tuple[int, int, int], examples: Iterable[Example]) -> Splits:
    """The first `sizes` of the examples, from the file if it holds those, else made and written to it.

    Args:
        path: of the Arrow file; a record of how it was made goes beside it. Its folder is made if absent.
        recipe: everything that decides what the examples are.
        sizes: of the splits for training, validation and test, which follow each other in the file.
        examples: read only if the file has to be made.

    Raises:
        NysformerError: the file cannot be written, or there are fewer examples.
    """
    record = path.with_suffix(".json")
    recipe = {**recipe, "sizes": list(sizes)}
    if read_record(record, recipe) is None:
        check_parent(path, exists=False)
        path.parent.mkdir(parents=True, exist_ok=True)
        record.unlink(missing_ok=True)
        _write(path, examples, sum(sizes))
        write_record(record, recipe, [path.name], statistics=_read(path, sizes).describe())
    return _read(path, sizes)


def _write(path: Path, examples: Iterable[Example], count: int) -> None:
    schema = pa.schema([("tokens", pa.list_(pa.uint8())), ("label", pa.uint8())])
    source, written = iter(examples), 0
    with write_atomically(path, binary=True) as file, pa.ipc.new_file(file, schema) as writer:
        while rows := list(islice(source, min(_ROWS, count - written))):
            offsets = np.cumsum([0, *(len(tokens) for tokens, _ in rows)], dtype=np.int32)
            values = np.concatenate([tokens for tokens, _ in rows])
            tokens = pa.ListArray.from_arrays(pa.array(offsets), pa.array(values))
            labels = pa.array([label for _, label in rows], pa.uint8())
            writer.write_batch(pa.record_batch([tokens, labels], schema=schema))
            written += len(rows)
        if written < count:
            raise NysformerError(f"{path}: {count:,} examples are asked for, and there are {written:,}")


def _read(path: Path, sizes: tuple[int, int, int]) -> Splits:
    with pa.memory_map(str(path)) as file:
        table = pa.ipc.open_file(file).read_all().combine_chunks()
        column = table["tokens"].chunk(0)
        tokens = column.values.to_numpy().copy()
        offsets = column.offsets.to_numpy().astype(np.int64)
        labels = table["label"].to_numpy().copy()
    splits, start = [], 0
    for size in sizes:
        end = start + size
        first, last = offsets[start], offsets[end]
        splits.append(Sequences(tokens[first:last], offsets[start : end + 1] - first, labels[start:end]))
        start = end
    return Splits(*splits)
