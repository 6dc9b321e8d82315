"""Rows of JSON Lines, CSV, TSV and Parquet, one at a time, each with its place; a bad one is named and stepped over."""

import csv
import io
import json
import select
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Literal, TypeAlias

from nysformer.errors import NysformerError

__all__ = [
    "Item",
    "Record",
    "RecordError",
    "Row",
    "Waiting",
    "parquet_columns",
    "read_json",
    "read_lines",
    "read_parquet",
    "read_separated",
    "separated_columns",
]


@dataclass(frozen=True, slots=True)
class Row:
    """The columns of one record, and its place from 1: the line of JSON Lines, the line a CSV row begins on, the row of
    Parquet or of a JSON array."""

    values: Mapping[str, object]
    line: int


@dataclass(frozen=True, slots=True)
class Record:
    """One document and its place; `line` (see `Row`) is None where the whole file is the document.

    Attributes:
        text: of the document, never blank.
        source: the file it came from, or what the caller named it.
        line: from 1; None where the whole file is the document.
        label: its label's name, None where there is none or none was asked for.
        columns: the other columns of its row, as they were read.
    """

    text: str
    source: str
    line: int | None = None
    label: str | None = None
    columns: Mapping[str, object] = field(default_factory=dict)

    @property
    def place(self) -> str:
        """Where it stands, for messages."""
        return self.source if self.line is None else f"{self.source}:{self.line}"


@dataclass(frozen=True, slots=True)
class RecordError:
    """What could not be read, where, and why; `line` is None where the whole file is meant."""

    source: str
    line: int | None
    reason: str

    def __str__(self) -> str:
        return f"{self.source}: {self.reason}" if self.line is None else f"{self.source}:{self.line}: {self.reason}"


@dataclass(frozen=True, slots=True)
class Waiting:
    """The sender has sent no more for now: whoever gathers records should answer those at hand."""


Item: TypeAlias = Row | RecordError | Waiting


def read_lines(binary: BinaryIO) -> Iterator[tuple[int, bytes] | Waiting]:
    """Lines that are not blank, stripped, with their numbers; `Waiting` before each read that would block."""
    number = 1
    pieces: list[bytes] = []
    while True:
        if not _has_input(binary):
            yield Waiting()
        chunk = binary.read1(1 << 16)  # type: ignore[attr-defined]  # every buffered binary file has it
        if not chunk:
            break
        head, *tails = chunk.split(b"\n")
        pieces.append(head)
        for tail in tails:
            if line := b"".join(pieces).strip():
                yield number, line
            number += 1
            pieces = [tail]
    if line := b"".join(pieces).strip():
        yield number, line


def _has_input(binary: BinaryIO) -> bool:
    """Whether reading returns at once; True, too, where that cannot be asked (no file behind it, pipes on Windows)."""
    try:
        return bool(select.select([binary], [], [], 0)[0])
    except (OSError, ValueError):
        return True


def read_json(binary: BinaryIO, source: str) -> Iterator[Item]:
    """Rows of JSON Lines, or of one JSON array of objects, which is read whole."""
    lines = read_lines(binary)
    first = True
    for item in lines:
        if isinstance(item, Waiting):
            yield item
            continue
        number, raw = item
        if first and raw.removeprefix(b"\xef\xbb\xbf").startswith(b"["):
            rest = (other[1] for other in lines if not isinstance(other, Waiting))
            yield from _json_array(b"\n".join([raw, *rest]), source)
        else:
            yield _json_row(raw, source, number)
        first = False


def _json_array(raw: bytes, source: str) -> Iterator[Row | RecordError]:
    try:
        records = json.loads(raw.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:  # UnicodeDecodeError is a ValueError
        yield RecordError(source, None, f"invalid JSON array: {error}")
        return
    for number, record in enumerate(records, start=1):
        yield _json_object(record, source, number)


def _json_row(raw: bytes, source: str, line: int) -> Row | RecordError:
    try:
        record = json.loads(raw.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        return RecordError(source, line, f"not UTF-8 at byte {error.start + 1}")
    except (ValueError, RecursionError) as error:
        return RecordError(source, line, f"invalid JSON: {error}")
    return _json_object(record, source, line)


def _json_object(record: object, source: str, line: int) -> Row | RecordError:
    if isinstance(record, dict):
        return Row(record, line)
    return RecordError(source, line, f"a JSON {type(record).__name__} where an object should stand")


def separated_columns(binary: BinaryIO, source: str, kind: Literal["csv", "tsv"]) -> list[str]:
    """The header of an open CSV or TSV file; empty for an empty file."""
    with _separated(binary, source, kind) as (_, header):
        return header


def read_separated(binary: BinaryIO, source: str, kind: Literal["csv", "tsv"]) -> Iterator[Row | RecordError]:
    """Rows of an open CSV or TSV file with a header; bytes that are not UTF-8 come as lone surrogates in their cell.

    Raises:
        NysformerError: the header is malformed.
    """
    with _separated(binary, source, kind) as (reader, header):
        while True:
            line = reader.line_num + 1
            try:
                cells = next(reader)
            except StopIteration:
                return
            except csv.Error as error:  # the reader goes on with the next line
                yield RecordError(source, line, f"malformed row: {error}")
                continue
            if len(cells) == len(header):
                yield Row(dict(zip(header, cells, strict=True)), line)
            elif cells:
                yield RecordError(source, line, f"malformed row: {len(cells)} cells under a header of {len(header)}")


@contextmanager
def _separated(binary: BinaryIO, source: str, kind: Literal["csv", "tsv"]) -> Iterator[tuple[Any, list[str]]]:
    # The limit, one for the whole process, stands at 131,072 characters a cell: long documents are what is read here.
    csv.field_size_limit(2**31 - 1)
    text = io.TextIOWrapper(binary, encoding="utf-8-sig", errors="surrogateescape", newline="")
    try:
        # strict: else a quotation mark that is never closed swallows the rest of the file as one document
        reader = csv.reader(text, delimiter="\t" if kind == "tsv" else ",", strict=True)
        try:
            header = next(reader, [])
        except csv.Error as error:
            raise NysformerError(f"{source}:1: malformed header: {error}; mend it") from error
        yield reader, header
    finally:
        text.detach()  # standard input stays open


def parquet_columns(path: Path) -> list[str]:
    """The columns of a Parquet file.

    Raises:
        NysformerError: it is no whole Parquet file, or pyarrow is not installed.
    """
    with _parquet(path) as file:
        return list(file.schema_arrow.names)


def read_parquet(path: Path, columns: Sequence[str] | None = None) -> Iterator[Row | RecordError]:
    """Rows of a Parquet file, of the named columns or of all.

    Raises:
        NysformerError: as `parquet_columns`.
    """
    number = 0
    with _parquet(path) as file:
        from pyarrow import ArrowException

        try:
            for batch in file.iter_batches(batch_size=64, columns=columns):
                for values in batch.to_pylist():
                    number += 1
                    yield Row(values, number)
        except (ArrowException, OSError, UnicodeDecodeError) as error:
            reason = str(error).partition("\n")[0]
            yield RecordError(str(path), number + 1, f"damaged Parquet, nothing read from here on: {reason}")


def _parquet(path: Path) -> Any:
    try:
        from pyarrow import ArrowInvalid
        from pyarrow.parquet import ParquetFile
    except ImportError as error:
        raise NysformerError(f"{path}: reading Parquet needs pyarrow; pip install 'nysformer[train]'") from error
    try:
        return ParquetFile(path)
    except ArrowInvalid as error:
        reason = str(error).partition("\n")[0]
        raise NysformerError(f"{path}: not a whole Parquet file ({reason}); write it anew") from error
