"""Documents for prediction: one at a time, in order, each with its place; a bad one never stops the rest."""

import gzip
import os
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, TypeAlias, cast

from nysformer.data.formats import TEXT_SUFFIXES, Format, format_of
from nysformer.data.records import (
    Record,
    RecordError,
    Row,
    Waiting,
    parquet_columns,
    read_json,
    read_lines,
    read_parquet,
    read_separated,
    separated_columns,
)
from nysformer.errors import NysformerError

__all__ = ["STDIN", "Item", "Record", "RecordError", "Waiting", "stream_documents"]

STDIN = "-"
"""The source that means standard input."""


Item: TypeAlias = Record | RecordError | Waiting


def stream_documents(
    sources: Sequence[str | Path],
    *,
    text_column: str = "text",
    input_format: Format | None = None,
    stdin: BinaryIO | None = None,
) -> Iterator[Item]:
    """Read documents lazily, in the order of the sources and of the lines in them.

    A source is a file, a folder (every text file below it, see `formats.TEXT_SUFFIXES`, by name, hidden ones left
    out), or "-" for standard input. A file's format goes by its suffix (`.gz` is unpacked); a file with any other
    suffix, or none, is one text document; standard input is JSON Lines. Text is UTF-8. Memory holds a line, a few rows
    or one text file at a time, except for a JSON array, which is read whole.

    Args:
        sources: at least one.
        text_column: the JSON key or the column that holds the text.
        input_format: how to read every file and standard input, whatever their suffix; folders are text always.
        stdin: the bytes of "-".

    Returns:
        An iterator over documents, over a `RecordError` for each line or file that holds none (invalid JSON, column
        absent, not text, empty, not UTF-8, malformed row, unreadable file), and over a `Waiting` whenever the next
        line of a pipe is not there yet. Blank lines are skipped.

    Raises:
        NysformerError: at once, before anything is read, for a source that does not exist, a folder without text
            files, and a table that lacks `text_column` or cannot be opened.

    Example:
        >>> import io
        >>> list(stream_documents(["-"], stdin=io.BytesIO(b'{"text": "one"}')))
        [Record(text='one', source='<stdin>', line=1)]
    """
    if not sources:
        raise NysformerError("no documents: name a file, a folder, or - for standard input")
    for source in sources:
        if str(source) != STDIN:
            _check(Path(source), text_column, input_format)
        elif stdin is None:
            raise NysformerError("standard input (-) is not open; name a file or a folder")
        elif input_format == "parquet":
            raise NysformerError("standard input cannot be read as Parquet; write it to a file and name that")
    return _stream(sources, text_column, input_format, stdin)


def _check(path: Path, column: str, input_format: Format | None) -> None:
    if path.is_dir():
        if next(_texts_below(path), None) is None:
            raise NysformerError(
                f"{path}: the folder holds no text file ({', '.join(TEXT_SUFFIXES)}); name its files one by one"
            )
        return
    if not path.exists():
        raise NysformerError(f"{path}: no such file or folder; mend the path")
    kind = input_format or format_of(path)
    if not path.is_file() or kind not in ("csv", "tsv", "parquet"):  # the head of a pipe can be read only once
        return
    try:
        if kind == "parquet":
            columns = parquet_columns(path)
        else:
            with _open(path) as binary:
                columns = separated_columns(binary, str(path), kind)
    except (OSError, EOFError, zlib.error) as error:
        raise NysformerError(f"{path}: {_unreadable(error)}; mend it or leave it out") from error
    if column not in columns:
        known = ", ".join(columns) or "none"
        raise NysformerError(f"{path}: no column {column!r} (there are: {known}); name the one with the text")


def _stream(
    sources: Sequence[str | Path], column: str, input_format: Format | None, stdin: BinaryIO | None
) -> Iterator[Item]:
    for source in sources:
        path = Path(source)
        if str(source) == STDIN:
            yield from _read(cast(BinaryIO, stdin), "<stdin>", column, input_format or "jsonl")
        elif path.is_dir():
            for below in _texts_below(path):
                yield from _file(below, column, "text")
        else:
            yield from _file(path, column, input_format or format_of(path) or "text")


def _file(path: Path, column: str, kind: Format) -> Iterator[Item]:
    line = 0
    try:
        if kind == "parquet":
            for row in read_parquet(path, [column]):
                yield _from_row(row, str(path), column)
            return
        with _open(path) as binary:
            for item in _read(binary, str(path), column, kind):
                if not isinstance(item, Waiting):
                    line = item.line or 0
                yield item
    except (OSError, EOFError, zlib.error) as error:
        # A file that vanished or may not be read, compressed data that break off: what follows it is still read.
        yield RecordError(str(path), None if kind == "text" else line + 1, _unreadable(error))


def _read(binary: BinaryIO, source: str, column: str, kind: Format) -> Iterator[Item]:
    if kind == "text":
        yield _from_bytes(binary.read(), source, None)
    elif kind == "lines":
        for item in read_lines(binary):
            yield item if isinstance(item, Waiting) else _from_bytes(item[1], source, item[0])
    else:
        assert kind != "parquet", "Parquet is read from a file"
        rows = read_json(binary, source) if kind == "jsonl" else read_separated(binary, source, kind)
        for row in rows:
            yield row if isinstance(row, Waiting) else _from_row(row, source, column)


def _from_row(row: Row | RecordError, source: str, column: str) -> Record | RecordError:
    if isinstance(row, RecordError):
        return row
    if column not in row.values:
        known = ", ".join(row.values) or "none"
        return RecordError(source, row.line, f"no column {column!r} (there are: {known})")
    value = row.values[column]
    if not isinstance(value, str):
        found = "null" if value is None else f"of type {type(value).__name__}"
        return RecordError(source, row.line, f"column {column!r} is {found}, not text")
    return _document(value, source, row.line)


def _from_bytes(raw: bytes, source: str, line: int | None) -> Record | RecordError:
    try:
        return _document(raw.decode("utf-8-sig"), source, line)
    except UnicodeDecodeError as error:
        return RecordError(source, line, f"not UTF-8 at byte {error.start + 1}")


def _document(text: str, source: str, line: int | None) -> Record | RecordError:
    if not text.strip():
        return RecordError(source, line, "the document is empty")
    try:
        text.encode()
    except UnicodeEncodeError as error:  # a lone surrogate: out of a JSON escape, or a byte that is not UTF-8
        return RecordError(source, line, f"the text is not valid UTF-8 at character {error.start + 1}")
    return Record(text, source, line)


def _open(path: Path) -> BinaryIO:
    return cast(BinaryIO, gzip.open(path)) if path.suffix.lower() == ".gz" else path.open("rb")


def _unreadable(error: Exception) -> str:
    return f"cannot be read ({getattr(error, 'strerror', None) or error})"


def _texts_below(folder: Path) -> Iterator[Path]:
    """In the order of a walk with names sorted: the same on every machine, without a list of the whole tree."""
    for parent, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            if not name.startswith(".") and format_of(name) == "text":
                yield Path(parent, name)
