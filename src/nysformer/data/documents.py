"""A labelled set of documents, from files of every usual kind, as one Arrow dataset that need not fit into memory."""

import itertools
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import datasets
import pyarrow

from nysformer.data.labels import check_case
from nysformer.data.reader import ReadLog, ReadOptions, Sources, read_strictly
from nysformer.data.records import Record, shown
from nysformer.files.scratch import disk_errors, scratch_folder

__all__ = ["load_documents"]

_DOCUMENTS = 256
"""Documents that are written at a time."""


def load_documents(
    sources: Sources, options: ReadOptions | None = None, *, log: ReadLog | None = None, **changes: Any
) -> datasets.Dataset:
    """Read documents into a dataset; every one must be whole, the first bad one is the error.

    What is read, and in what order, is what `nysformer.data.reader.read_records` says. The dataset lies in a temporary
    folder that is removed when the process ends.

    Args:
        sources: files and folders, at least one; their documents come in this order.
        options: how to read them; None for the defaults. A `label_column` of None is for documents without labels.
        log: is told what was read, skipped and normalized.
        changes: fields of `ReadOptions` that differ from `options`.

    Returns:
        A dataset with the string columns `text`, `label` (unless `label_column` is None), `group` (if there is a
        `group_column`; null where a document stands by itself) and `source`: the file, and in a file of rows the line
        or row behind a colon.

    Raises:
        NysformerError: a source that is missing, of an unknown suffix, empty or unreadable; an absent column; a
            document or label that is empty or of the wrong type, each with its file and line; two labels that differ
            only in case; a full disk.

    Example:
        >>> load_documents(["train.jsonl", "more/"], text_column="body")  # doctest: +SKIP
        Dataset({features: ['text', 'label', 'source'], num_rows: 2718})
    """
    options = replace(options or ReadOptions(), **changes)
    log = ReadLog() if log is None else log
    labelled = options.label_column is not None
    names = ["text", *(["label"] if labelled else []), *(["group"] if options.group_column else []), "source"]
    schema = pyarrow.schema([(name, pyarrow.large_string()) for name in names])
    records = read_strictly(sources, options, labelled=labelled, log=log, columns=False)
    path = str(scratch_folder() / "documents.arrow")
    with disk_errors(), pyarrow.OSFile(path, "wb") as file, pyarrow.ipc.new_stream(file, schema) as writer:
        for batch in _batches(records):
            columns = [[_value(record, name) for record in batch] for name in names]
            writer.write_batch(pyarrow.record_batch(columns, schema=schema))
    check_case(log.labels)
    return datasets.Dataset.from_file(path)


def _batches(records: Iterator[Record]) -> Iterator[list[Record]]:
    while batch := list(itertools.islice(records, _DOCUMENTS)):
        yield batch


def _value(record: Record, name: str) -> str | None:
    if name == "source":
        return shown(record.source) if record.line is None else f"{shown(record.source)}:{record.line}"
    value: str | None = getattr(record, name)
    return value
