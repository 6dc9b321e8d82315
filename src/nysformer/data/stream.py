"""Documents for prediction: one at a time, in order, each with its place; a bad one never stops the rest."""

from collections.abc import Iterator
from typing import Any, BinaryIO

from nysformer.data.reader import STDIN, ReadLog, ReadOptions, Sources, read_records
from nysformer.data.records import Item, Record, RecordError, Waiting

__all__ = ["STDIN", "Item", "Record", "RecordError", "Waiting", "stream_documents"]


def stream_documents(
    sources: Sources, *, stdin: BinaryIO | None = None, log: ReadLog | None = None, **options: Any
) -> Iterator[Item]:
    """`nysformer.data.reader.read_records` without labels.

    Args:
        sources: files, folders, or "-" for standard input.
        stdin: the bytes of "-".
        log: is told what the reading meets.
        options: fields of `ReadOptions`.

    Raises:
        NysformerError: as `read_records`.

    Example:
        >>> import io
        >>> [item.text for item in stream_documents(["-"], stdin=io.BytesIO(b'{"text": "one"}'))]
        ['one']
    """
    return read_records(sources, ReadOptions(**options), labelled=False, stdin=stdin, log=log)
