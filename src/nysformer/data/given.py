"""What a caller hands over to be answered, as records; what is no document is a `RecordError` in its place."""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence

from nysformer.data.memory import GIVEN, mapping_hint, table_of
from nysformer.data.reading import TEXT_AND_LABEL, Layout, ReadLog, ReadOptions
from nysformer.data.records import Item, Record, RecordError, Row, Waiting
from nysformer.data.rows import RowReader, no_column
from nysformer.data.values import native
from nysformer.errors import NysformerError

__all__ = ["given_records"]


def given_records(
    documents: Iterable[object], options: ReadOptions | None = None, layouts: Sequence[Layout] = TEXT_AND_LABEL
) -> Iterator[Item]:
    """Texts, rows and records, one by one, as records.

    Args:
        documents: an iterable of texts, of mappings of columns to values, or of the items that a reader yields; a
            pandas DataFrame or a dataset; one text, or one `Record`, is one document.
        options: the names of columns; None for the defaults.
        layouts: which columns make a document.

    Returns:
        An iterator that reads `documents` lazily. A `RecordError` stands in the place of whatever is not a document, is
        blank, or cannot be written as UTF-8.

    Raises:
        NysformerError: at once, for what cannot be documents: a single mapping, bytes, a path, a table without a
            column that is needed, or no iterable at all.

    Example:
        >>> [str(record) for record in given_records(["one", None])][1]
        'document:2: None, not a text'
        >>> [record.text for record in given_records([{"text": "one"}])]
        ['one']
    """
    reader = RowReader(options or ReadOptions(), layouts, labelled=False, log=ReadLog())
    if isinstance(documents, str | Record):
        documents = [documents]
    if (table := table_of(documents)) is not None:
        if table.columns is not None and (absent := reader.lacks(table.columns)) is not None:
            reason = no_column(absent[0], table.columns, None)
            raise NysformerError(f"the {table.kind} has {reason}; name the one with the {absent[1]}")
        return reader.records(table.read(None), GIVEN, None)
    if isinstance(documents, Mapping):
        raise NysformerError(f"documents is {mapping_hint(documents)}")
    if hint := _hint(documents):
        raise NysformerError(f"documents is {_named(documents)}; {hint}")
    try:
        iterator = iter(documents)
    except TypeError as error:
        raise NysformerError(
            f"documents is {_named(documents)}; pass texts or rows: a list of strings or of mappings, or any other "
            "iterable of them"
        ) from error
    return _records(iterator, reader)


def _records(documents: Iterator[object], reader: RowReader) -> Iterator[Item]:
    named = reader.text_layout()
    for number, item in enumerate(documents, start=1):
        if isinstance(item, RecordError | Waiting):
            yield item
        elif isinstance(item, Record):
            reason = _fault(item.text) or _lacks(item, reader)
            yield RecordError(item.source, item.line, reason) if reason else item
        elif isinstance(item, Mapping):
            yield from reader.records([Row(native(item), number)], GIVEN, None)
        elif reason := _fault(item):
            yield RecordError(GIVEN, number, reason)
        elif isinstance(named, str):
            yield RecordError(GIVEN, number, f"a text alone has no {named!r}; pass a mapping with the columns instead")
        else:
            # str.__str__: a plain copy of a subclass such as numpy's, whatever its own __str__ does
            yield Record(str.__str__(item), GIVEN, number)


def _hint(documents: object) -> str | None:
    """What to pass instead of something that cannot be documents; None where it can."""
    if isinstance(documents, bytes | bytearray | memoryview):
        return "pass text, such as [documents.decode()]"
    if isinstance(documents, os.PathLike):
        return "pass the file's text, such as [path.read_text()]"
    return None


def _lacks(record: Record, reader: RowReader) -> str | None:
    """Which value a record lacks that the task needs beside the document; None where it has one layout's."""
    missing = [
        next((column.name for column in named.layout.others if column.name not in record.values), None)
        for named in reader.named
    ]
    return None if None in missing else f"the record has no {missing[0]!r}; give it in its values"


def _fault(item: object) -> str | None:
    """Why that is no document; None where it is one."""
    if not isinstance(item, str):
        return f"{_named(item)}, not a text"
    if not item.strip():
        return "the document is empty"
    try:
        item.encode()
    except UnicodeEncodeError as error:  # half of a surrogate pair
        return f"the text is not valid UTF-8 at character {error.start + 1}"
    return None


def _named(item: object) -> str:
    if item is None:
        return "None"
    if isinstance(item, float) and item != item:
        return "a missing value (NaN)"
    return f"of type {type(item).__name__}"
