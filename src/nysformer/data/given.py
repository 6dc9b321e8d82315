"""What a caller hands over as documents, as records; what is no text is a `RecordError` in its place."""

import os
from collections.abc import Iterable, Iterator, Mapping

from nysformer.data.records import Record, RecordError, Waiting
from nysformer.errors import NysformerError

__all__ = ["GIVEN", "Given", "given_records"]

GIVEN = "document"
"""The source of a document that came as a plain text; its line is its number, from 1."""

Given = Record | RecordError | Waiting


def given_records(documents: Iterable[object]) -> Iterator[Given]:
    """Texts and records, one by one, as records.

    Args:
        documents: an iterable of texts, or of the items that a reader yields; one text, or one `Record`, is one
            document.

    Returns:
        An iterator that reads `documents` lazily. A `RecordError` stands in the place of whatever is not a text, is
        blank, or cannot be written as UTF-8.

    Raises:
        NysformerError: at once, for what cannot be documents: a table, a mapping, bytes, a path, or no iterable at all.

    Example:
        >>> [str(record) for record in given_records(["one", None])][1]
        'document:2: None, not a text'
    """
    if isinstance(documents, str | Record):
        documents = [documents]
    if hint := _hint(documents):
        raise NysformerError(f"documents is {_named(documents)}; {hint}")
    try:
        iterator = iter(documents)
    except TypeError as error:
        raise NysformerError(
            f"documents is {_named(documents)}; pass texts: a list of strings, or any other iterable of them"
        ) from error
    return _records(iterator)


def _records(documents: Iterator[object]) -> Iterator[Given]:
    for number, item in enumerate(documents, start=1):
        if isinstance(item, RecordError | Waiting):
            yield item
        elif isinstance(item, Record):
            reason = _fault(item.text)
            yield RecordError(item.source, item.line, reason) if reason else item
        else:
            reason = _fault(item)
            # str.__str__: a plain copy of a subclass such as numpy's, whatever its own __str__ does
            yield RecordError(GIVEN, number, reason) if reason else Record(str.__str__(item), GIVEN, number)


def _hint(documents: object) -> str | None:
    """What to pass instead of something that cannot be documents; None where it can."""
    if hasattr(documents, "columns") or hasattr(documents, "column_names"):
        return 'pass its column of texts, such as documents["text"]'
    if isinstance(documents, Mapping):
        return 'pass its texts, such as [documents["text"]]'
    if isinstance(documents, bytes | bytearray | memoryview):
        return "pass text, such as [documents.decode()]"
    if isinstance(documents, os.PathLike):
        return "pass the file's text, such as [path.read_text()]"
    return None


def _fault(item: object) -> str | None:
    """Why that is no document; None where it is one."""
    if not isinstance(item, str):
        hint = '; pass its text, such as row["text"]' if isinstance(item, Mapping) else ""
        return f"{_named(item)}, not a text{hint}"
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
