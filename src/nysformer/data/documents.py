"""Documents of every usual kind of file as one sequence of records that need not fit into memory."""

from __future__ import annotations

import bisect
import json
from array import array
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from typing import Any, overload

import pyarrow

from nysformer.data.labels import check_case
from nysformer.data.reader import Data, ReadLog, ReadOptions, read_records, read_strictly
from nysformer.data.reading import TEXT_AND_LABEL, Layout
from nysformer.data.records import Record, RecordError
from nysformer.data.values import as_read
from nysformer.errors import NysformerError
from nysformer.files.scratch import disk_errors, scratch_folder

__all__ = ["Documents", "load_documents"]

_DOCUMENTS, _CHARACTERS = 256, 1 << 22
"""So many documents, or characters of them, are written at a time."""

_SCHEMA = pyarrow.schema(
    [
        ("text", pyarrow.large_string()),  # null where there are words
        ("words", pyarrow.large_list(pyarrow.large_string())),
        ("label", pyarrow.large_string()),  # JSON; null where there is none
        ("values", pyarrow.large_string()),  # JSON; null where there are none
        ("group", pyarrow.large_string()),
        ("source", pyarrow.large_binary()),  # a file's name may hold bytes that are not UTF-8
        ("line", pyarrow.int64()),
    ]
)


class Documents(Sequence[Record]):
    """Records in an Arrow file, which is mapped into memory; `Record.columns` are not kept.

    Args:
        path: of the file, which must stay while the documents are in use.
        order: the documents' numbers in the file; None for all of them.

    Example:
        >>> from pathlib import Path
        >>> _ = Path("a.jsonl").write_text('{"text": "one", "label": "x"}')
        >>> documents = load_documents("a.jsonl", labelled=True)
        >>> len(documents), documents[0].label, documents.select([0, 0])[1].text
        (1, 'x', 'one')
    """

    def __init__(self, path: str, order: Sequence[int] | None = None) -> None:
        self._path = path
        with pyarrow.memory_map(path) as file, pyarrow.ipc.open_file(file) as reader:
            self._batches = [reader.get_batch(number) for number in range(reader.num_record_batches)]
        self._starts = [0]
        for batch in self._batches:
            self._starts.append(self._starts[-1] + batch.num_rows)
        self._order: Sequence[int] = range(self._starts[-1]) if order is None else order

    def __reduce__(self) -> tuple[Any, ...]:
        return Documents, (self._path, self._order)

    def __len__(self) -> int:
        return len(self._order)

    @overload
    def __getitem__(self, index: int) -> Record: ...
    @overload
    def __getitem__(self, index: slice) -> Documents: ...

    def __getitem__(self, index: int | slice) -> Record | Documents:
        if isinstance(index, slice):
            return Documents(self._path, self._order[index])
        number = self._order[index]
        batch = bisect.bisect_right(self._starts, number) - 1
        return _record(self._batches[batch].slice(number - self._starts[batch], 1).to_pylist()[0])

    def __iter__(self) -> Iterator[Record]:
        if self._order != range(self._starts[-1]):
            yield from (self[place] for place in range(len(self)))
            return
        for batch in self._batches:
            for start in range(0, batch.num_rows, 16):
                yield from map(_record, batch.slice(start, 16).to_pylist())

    def __repr__(self) -> str:
        return f"Documents({len(self):,})"

    def select(self, indices: Iterable[int]) -> Documents:
        """The documents at `indices`, in that order; nothing is read or copied.

        Raises:
            IndexError: there is no such document.
        """
        return Documents(self._path, array("q", (self._order[int(index)] for index in indices)))

    @property
    def groups(self) -> list[str | None]:
        """The group of each document, see `ReadOptions.group_column`."""
        groups = [group for batch in self._batches for group in batch.column("group").to_pylist()]
        return [groups[number] for number in self._order]


def load_documents(
    data: Data,
    options: ReadOptions | None = None,
    layouts: Sequence[Layout] = TEXT_AND_LABEL,
    *,
    labelled: bool,
    log: ReadLog | None = None,
    lenient: bool = False,
) -> Documents:
    """Read documents that must all be whole; the first bad one is the error.

    What is read, and in what order, is what `nysformer.data.reader.read_records` says. The documents lie in a temporary
    folder that is removed when the process ends.

    Args:
        data: files and folders, at least one; or rows (see `nysformer.data.memory.Data`).
        options: how to read them; None for the defaults.
        layouts: which columns make a document.
        labelled: whether documents have targets, such as labels.
        log: is told what was read, skipped and normalized.
        lenient: leave out what cannot be read, and enter it in the log's warnings, as long as something is left.

    Raises:
        NysformerError: a source that is missing, of an unknown suffix, empty or unreadable; an absent column; a
            document or label that is empty or of the wrong type, each with its file and line; two labels that differ
            only in case; a full disk.

    Example:
        >>> options = ReadOptions(text_column="body")
        >>> load_documents(["train.jsonl", "more/"], options, labelled=True)  # doctest: +SKIP
        Documents(2,718)
    """
    log = ReadLog() if log is None else log
    read = _read_leniently if lenient else read_strictly
    records = read(data, options, layouts, labelled=labelled, log=log, columns=False)
    path = str(scratch_folder() / "records.arrow")
    with ExitStack() as stack:
        with disk_errors():
            file = stack.enter_context(pyarrow.OSFile(path, "wb"))
            writer = stack.enter_context(pyarrow.ipc.new_file(file, _SCHEMA))
        for piece in _pieces(records):  # reading has errors of its own
            batch = pyarrow.RecordBatch.from_pylist([_row(record) for record in piece], schema=_SCHEMA)
            with disk_errors():
                writer.write_batch(batch)
        with disk_errors():
            stack.close()
    check_case(log.labels)
    return Documents(path)


def _read_leniently(data: Data, *given: Any, log: ReadLog, **settings: Any) -> Iterator[Record]:
    """As `read_strictly`, but what cannot be read becomes a warning in the log.

    Raises:
        NysformerError: also where nothing is left.
    """
    first: RecordError | None = None
    for item in read_records(data, *given, log=log, **settings):
        if isinstance(item, RecordError):
            first = first or item
            log.warnings.append(f"left out: {item}")
        elif isinstance(item, Record):
            yield item
    if first is not None and not log.documents:
        raise NysformerError(f"no document can be read: {first}")


def _pieces(records: Iterator[Record]) -> Iterator[list[Record]]:
    piece: list[Record] = []
    characters = 0
    for record in records:
        piece.append(record)
        characters += len(record.text)
        if len(piece) == _DOCUMENTS or characters >= _CHARACTERS:
            yield piece
            piece, characters = [], 0
    if piece:
        yield piece


def _row(record: Record) -> dict[str, Any]:
    return {
        "text": record.text if record.words is None else None,
        "words": record.words,
        "label": None if record.label is None else json.dumps(record.label),
        "values": json.dumps(record.values) if record.values else None,
        "group": record.group,
        "source": record.source.encode("utf-8", "surrogatepass"),
        "line": record.line,
    }


def _record(row: dict[str, Any]) -> Record:
    words = None if row["words"] is None else tuple(row["words"])
    return Record(
        text=row["text"] if words is None else " ".join(words),
        source=row["source"].decode("utf-8", "surrogatepass"),
        line=row["line"],
        label=None if row["label"] is None else as_read(json.loads(row["label"])),
        group=row["group"],
        words=words,
        values={} if row["values"] is None else as_read(json.loads(row["values"])),
    )
