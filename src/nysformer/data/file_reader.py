"""Documents of one file, in any format."""

import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, cast

from nysformer.data.conll import TAGS, TOKENS, read_conll, read_conllu
from nysformer.data.decoding import Decoder, UnreadableText
from nysformer.data.formats import Format, format_of
from nysformer.data.json_rows import read_json
from nysformer.data.lines import read_lines, read_whole
from nysformer.data.markup import html_text
from nysformer.data.parquet import parquet_columns, read_parquet
from nysformer.data.reading import ReadOptions
from nysformer.data.records import Item, RecordError, Row, Waiting, shown
from nysformer.data.rows import RowReader, no_column
from nysformer.data.separated import read_separated, separated_columns
from nysformer.data.sources import WHOLE_FILES, File
from nysformer.errors import NysformerError

__all__ = ["FileReader", "table_columns"]


class FileReader:
    """Reads files.

    Args:
        options: see `ReadOptions`.
        rows: makes records of rows and texts.
        labelled: whether documents have targets.
        columns: whether the other columns of Parquet files are read, too.
    """

    def __init__(self, options: ReadOptions, rows: RowReader, *, labelled: bool, columns: bool) -> None:
        self._options, self._rows, self._labelled, self._columns = options, rows, labelled, columns

    def check(self, path: Path) -> None:
        """See whether a source can hold documents, by its kind and, without labels, by the columns of a table.

        Raises:
            NysformerError: it cannot.
        """
        kind = self._options.input_format or format_of(path) or "text"
        lacks = self._rows.text_layout()
        if kind in WHOLE_FILES and isinstance(lacks, str) and not path.is_dir():
            raise NysformerError(f"{shown(path)}: no column {lacks!r}: a text file has none; give a file of rows")
        names = None if self._labelled else table_columns(path, self._options)
        absent = None if names is None else self._rows.lacks(names)
        if absent is not None:
            reason = no_column(absent[0], names or [], kind)
            raise NysformerError(f"{shown(path)}: {reason}; name the one with the {absent[1]}")

    def file(self, file: File) -> Iterator[Item]:
        """Documents of a closed file; one that cannot be read on is a `RecordError`."""
        source, line = str(file.path), None
        try:
            if file.kind == "parquet":
                if file.path.is_file() and file.path.stat().st_size == 0:
                    return
                yield from self._rows.records(self._parquet(file.path), source, "parquet")
                return
            with _open(file.path) as binary:
                for item in self.open(binary, source, file.kind, file.label):
                    if not isinstance(item, Waiting):
                        line = item.line
                    yield item
        except (OSError, EOFError, zlib.error) as error:
            # A file that vanished or may not be read, compressed data that break off: what follows it is still read.
            place = "" if line is None else f" after line {line}"
            yield RecordError(source, None, _unreadable(error, place))

    def open(self, binary: BinaryIO, source: str, kind: Format, label: str | None) -> Iterator[Item]:
        """Documents of an open file, which stays open.

        Args:
            binary: the file.
            source: its name.
            kind: its format, not Parquet.
            label: what its folder says.
        """
        options, encoding = self._options, self._options.encoding
        try:
            if kind in ("text", "html"):
                yield from self._whole(binary, source, kind, label)
            elif kind == "lines":
                yield from self._lines(binary, source, label)
            elif kind == "jsonl":
                documents = [named.document for named in self._rows.named]
                yield from self._rows.records(read_json(binary, source, encoding, documents), source, kind)
            elif kind == "conll":
                yield from self._rows.records(read_conll(binary, source, encoding), source, kind)
            elif kind == "conllu":
                yield from self._rows.records(read_conllu(binary, source, encoding), source, kind)
            else:
                assert kind == "csv" or kind == "tsv", "Parquet is read from a closed file"
                rows = read_separated(binary, source, kind, options.delimiter, encoding)
                yield from self._rows.records(rows, source, kind)
        except UnreadableText as error:
            yield RecordError(source, None, str(error))

    def _parquet(self, path: Path) -> Iterator[Row | RecordError]:
        try:
            yield from read_parquet(path, None if self._columns else self._rows.wanted())
        except NysformerError as error:
            yield RecordError(str(path), None, str(error).removeprefix(f"{shown(path)}: "))

    def _whole(self, binary: BinaryIO, source: str, kind: Format, label: str | None) -> Iterator[Item]:
        encoding = self._options.encoding
        decoder = Decoder(encoding)
        for piece in read_whole(binary, decoder):
            if isinstance(piece, Waiting):
                yield piece
                continue
            if kind == "html":
                text = html_text(piece, encoding)
            else:
                text = decoder.decode(piece)
                if "\0" in text:
                    raise UnreadableText("binary data (a zero byte in the text); extract its text first")
            yield self._rows.from_text(text, source, None, label)

    def _lines(self, binary: BinaryIO, source: str, label: str | None) -> Iterator[Item]:
        decoder = Decoder(self._options.encoding)
        for item in read_lines(binary, decoder):
            if isinstance(item, Waiting):
                yield item
                continue
            number, raw = item
            try:
                text = decoder.of_lines.decode(raw)
            except UnreadableText as error:
                yield RecordError(source, number, str(error))
            else:
                yield self._rows.from_text(text, source, number, label)


def table_columns(path: Path, options: ReadOptions) -> list[str] | None:
    """The columns of a table; None where that cannot be known without reading on, or where the file is empty.

    Raises:
        NysformerError: the table cannot be read.
    """
    kind = options.input_format or format_of(path)
    if not path.is_file() or path.stat().st_size == 0:  # the head of a pipe can be read only once
        return None
    if kind in ("conll", "conllu"):
        return [TOKENS, TAGS]
    if kind not in ("csv", "tsv", "parquet"):
        return None
    try:
        if kind == "parquet":
            return parquet_columns(path)
        with _open(path) as binary:
            return separated_columns(binary, shown(path), kind, options.delimiter, options.encoding) or None
    except UnreadableText as error:
        raise NysformerError(f"{shown(path)}: {error}") from error
    except (OSError, EOFError, zlib.error) as error:
        raise NysformerError(f"{shown(path)}: {_unreadable(error)}; fix it or leave it out") from error


def _open(path: Path) -> BinaryIO:
    return cast(BinaryIO, gzip.open(path)) if path.suffix.lower() == ".gz" else path.open("rb")


def _unreadable(error: Exception, place: str = "") -> str:
    return f"cannot be read{place} ({getattr(error, 'strerror', None) or error})"
