"""What a model trains on: examples in an Arrow file, which need not fit into memory."""

from __future__ import annotations

import bisect
from array import array
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from typing import Any

import pyarrow
from torch.utils.data import Dataset

from nysformer.files.scratch import disk_errors, scratch_folder
from nysformer.tasks.base import Example

__all__ = ["Examples", "store_examples"]

_TOKENS = 1 << 20
"""So many tokens are written at a time."""


class Examples(Dataset[Example]):
    """Examples in an Arrow file, which is mapped into memory.

    Args:
        path: of the file, which must stay while the examples are in use.
        lengths: tokens of each.
    """

    def __init__(self, path: str, lengths: Sequence[int]) -> None:
        self.path = path
        self.lengths = lengths
        with pyarrow.memory_map(path) as file, pyarrow.ipc.open_file(file) as reader:
            self._batches = [reader.get_batch(number) for number in range(reader.num_record_batches)]
        self._starts = [0]
        for batch in self._batches:
            self._starts.append(self._starts[-1] + batch.num_rows)

    def __reduce__(self) -> tuple[Any, ...]:
        return Examples, (self.path, self.lengths)

    def __len__(self) -> int:
        return len(self.lengths)

    def __getitem__(self, index: int) -> Example:
        if not 0 <= index < len(self):
            raise IndexError(f"there is no example {index}, only {len(self)}")
        batch = bisect.bisect_right(self._starts, index) - 1
        row = self._batches[batch].slice(index - self._starts[batch], 1).to_pylist()[0]
        return Example(row.pop("input_ids"), row.pop("token_type_ids"), row)


def store_examples(examples: Iterable[Example]) -> Examples:
    """Write examples into the scratch folder.

    Args:
        examples: at least one; their targets all of one kind.

    Raises:
        NysformerError: a full disk.

    Example:
        >>> stored = store_examples([Example([2, 7, 3], targets={"labels": 1})])
        >>> stored[0].targets, stored.lengths.tolist()
        ({'labels': 1}, [3])
    """
    path = str(scratch_folder() / "examples.arrow")
    lengths = array("q")
    with ExitStack() as stack:
        writer: Any = None
        for piece in _pieces(examples):
            if writer is None:
                schema = _schema(piece[0])
                with disk_errors():
                    file = stack.enter_context(pyarrow.OSFile(path, "wb"))
                    writer = stack.enter_context(pyarrow.ipc.new_file(file, schema))
            lengths.extend(example.num_tokens for example in piece)
            rows = [
                {"input_ids": example.input_ids, "token_type_ids": example.token_type_ids, **example.targets}
                for example in piece
            ]
            with disk_errors():
                writer.write_batch(pyarrow.RecordBatch.from_pylist(rows, schema=schema))
        with disk_errors():
            stack.close()
    return Examples(path, lengths)


def _schema(example: Example) -> pyarrow.Schema:
    ids = pyarrow.infer_type([example.input_ids])
    targets = ((name, pyarrow.infer_type([value])) for name, value in example.targets.items())
    return pyarrow.schema([("input_ids", ids), ("token_type_ids", ids), *targets])


def _pieces(examples: Iterable[Example]) -> Iterator[list[Example]]:
    piece: list[Example] = []
    tokens = 0
    for example in examples:
        piece.append(example)
        tokens += example.num_tokens
        if tokens >= _TOKENS:
            yield piece
            piece, tokens = [], 0
    if piece:
        yield piece
