"""The one reader: documents from files, folders and standard input, in the same order and by the same rules for all.

Training, evaluation and prediction read through here. `read_records` is lenient: what cannot be read comes as a
`RecordError` in its place, and the rest is read. `read_strictly` raises the first of them.
"""

import gzip
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO, TypeAlias, cast

from nysformer.data.decoding import Decoder, UnreadableText
from nysformer.data.formats import Format, format_of
from nysformer.data.json_rows import read_json
from nysformer.data.labels import UnusableLabel, normal_label
from nysformer.data.lines import read_lines, read_whole
from nysformer.data.markup import html_text
from nysformer.data.parquet import parquet_columns, read_parquet
from nysformer.data.reading import ReadLog, ReadOptions
from nysformer.data.records import HOLDS_NOTHING, Item, Record, RecordError, Row, RowItem, Waiting, shown
from nysformer.data.separated import other_delimiter, read_separated, separated_columns
from nysformer.data.sources import STDIN, File, check_sources, find_files, list_sources, nothing
from nysformer.errors import NysformerError

__all__ = ["STDIN", "ReadLog", "ReadOptions", "Sources", "check_columns", "read_records", "read_strictly"]

Sources: TypeAlias = str | Path | Iterable[str | Path]
"""Files and folders; one alone need not be in a list. "-" is standard input."""

_STDIN_NAME = "<stdin>"
_EMPTY = "the document is empty"


def read_records(
    sources: Sources,
    options: ReadOptions | None = None,
    *,
    labelled: bool,
    stdin: BinaryIO | None = None,
    log: ReadLog | None = None,
    columns: bool = True,
) -> Iterator[Item]:
    """Read documents lazily, in the order of the sources, of the files below a folder, and of the lines in them.

    A source is a file, a folder or "-" for standard input. The suffix names a file's format (see `formats.SUFFIXES`),
    `.gz` is unpacked; a file with any other suffix, or none, is one text document if it is named itself, and skipped in
    a folder (see `sources.find_files`); standard input is JSON Lines. Memory holds a line, a few rows or one text file
    at a time, except for a JSON array, which is read whole.

    Args:
        sources: at least one.
        options: None for the defaults.
        labelled: whether documents have labels. A label is normalized (see `labels.normal_label`).
        stdin: the bytes of "-".
        log: is told what the reading meets.
        columns: False leaves `Record.columns` empty, and other columns of Parquet files unread.

    Returns:
        An iterator over documents, over a `RecordError` for each file, line or row that holds none, and over a
        `Waiting` whenever the next line of a pipe is not there yet. Blank lines are left out. If no source holds
        anything at all it raises a `NysformerError`.

    Raises:
        NysformerError: at once, before anything is read, for a source that does not exist or cannot be read as asked;
            for sources that are all empty; and, without labels, for a table that lacks the text column.

    Example:
        >>> import io
        >>> list(read_records("-", labelled=False, stdin=io.BytesIO(b'{"text": "one"}')))
        [Record(text='one', source='<stdin>', line=1, label=None, columns={}, group=None)]
    """
    options = options or ReadOptions()
    listed = list_sources(sources)
    if STDIN in listed and stdin is None:
        raise NysformerError("standard input (-) is not open; name a file or a folder")
    if STDIN in listed and options.input_format == "parquet":
        raise NysformerError("standard input cannot be read as Parquet; write it to a file and name that")
    if labelled and options.label_column is None:
        raise NysformerError("label_column: None, but documents need labels; name the column with the label")
    check_sources(listed, input_format=options.input_format, all_files=options.all_files, labelled=labelled)
    if not labelled:
        for source in listed:
            if source != STDIN:
                _check_table(Path(source), options)
    reading = _Reading(options, labelled, ReadLog() if log is None else log, columns)
    return _unless_all_empty(reading.items(listed, stdin))


def read_strictly(
    sources: Sources,
    options: ReadOptions | None = None,
    *,
    labelled: bool,
    stdin: BinaryIO | None = None,
    log: ReadLog | None = None,
    columns: bool = True,
) -> Iterator[Record]:
    """As `read_records`, for documents that must all be whole.

    Raises:
        NysformerError: also, while reading, for the first `RecordError`.
    """
    items = read_records(sources, options, labelled=labelled, stdin=stdin, log=log, columns=columns)
    for item in items:
        if isinstance(item, RecordError):
            remedy = "leave it out" if item.reason.endswith(HOLDS_NOTHING) else "fix or remove it"
            raise NysformerError(str(item) if ";" in item.reason else f"{item}; {remedy}")
        if isinstance(item, Record):
            yield item


def _unless_all_empty(items: Iterator[Item]) -> Iterator[Item]:
    """Hold word of empty sources back until something else comes; if nothing does, that is the user's mistake."""
    empty: list[RecordError] = []
    found = False
    for item in items:
        if not found and isinstance(item, RecordError) and _is_empty(item):
            empty.append(item)
            continue
        if not found and not isinstance(item, Waiting):
            found = True
            yield from empty
        yield item
    if not found:
        first = empty[0]
        reason = first.reason if first.reason.endswith(HOLDS_NOTHING) else _nothing_in(first.source)
        raise NysformerError(nothing(first.source, reason, others=len(empty) - 1))


def _nothing_in(source: str) -> str:
    return f"the {'input' if source == _STDIN_NAME else 'file'} {HOLDS_NOTHING}"


def _is_empty(error: RecordError) -> bool:
    return error.line is None and (error.reason == _EMPTY or error.reason.endswith(HOLDS_NOTHING))


def _check_table(path: Path, options: ReadOptions) -> None:
    """Look for the text column of a table that is a source itself."""
    names = _table_columns(path, options)
    kind = options.input_format or format_of(path)
    if names is not None and kind is not None and options.text_column not in names:
        raise NysformerError(
            f"{shown(path)}: {_no_column(options.text_column, names, kind)}; name the one with the text"
        )


def check_columns(sources: Sources, options: ReadOptions, names: Iterable[str]) -> None:
    """Look for columns in the sources whose columns can be known before they are read: tables, and files of text.

    Args:
        sources, options: see `read_records`.
        names: of columns.

    Raises:
        NysformerError: a source that lacks one of them.
    """
    names = list(names)
    for source in list_sources(sources) if names else []:
        path = Path(source)
        kind = options.input_format or format_of(path)
        if source == STDIN or not path.is_file():
            continue
        known = _table_columns(path, options)
        if known is None and kind not in ("csv", "tsv", "parquet", "jsonl"):
            known = [options.text_column]  # all there is of a text
        missing = next((name for name in names if known is not None and name not in known), None)
        if missing is not None:
            raise NysformerError(f"{shown(path)}: no column {missing!r} (there are: {', '.join(known or ())})")


def _table_columns(path: Path, options: ReadOptions) -> list[str] | None:
    """The columns of a table; None where that cannot be known without reading on, or where the file is empty."""
    kind = options.input_format or format_of(path)
    if not path.is_file() or kind not in ("csv", "tsv", "parquet"):  # the head of a pipe can be read only once
        return None
    if path.stat().st_size == 0:
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


class _Reading:
    """One reading, with what it was told."""

    def __init__(self, options: ReadOptions, labelled: bool, log: ReadLog, columns: bool) -> None:
        self.options, self.labelled, self.log, self.columns = options, labelled, log, columns

    def items(self, sources: list[str], stdin: BinaryIO | None) -> Iterator[Item]:
        """Of all sources."""
        options = self.options
        for source in sources:
            if source == STDIN:
                kind = options.input_format or "jsonl"
                yield from self._counted(self._read(cast(BinaryIO, stdin), _STDIN_NAME, kind, None), _STDIN_NAME)
                continue
            files = find_files(
                source,
                input_format=options.input_format,
                all_files=options.all_files,
                label_from=options.label_from if self.labelled else None,
                skipped=self.log.skipped,
            )
            found = False
            for file in files:
                found = True
                if isinstance(file, RecordError):
                    yield file
                else:
                    yield from self._counted(self._file(file), str(file.path))
            if not found:
                yield RecordError(source, None, f"the folder {HOLDS_NOTHING}")

    def _counted(self, items: Iterator[Item], source: str) -> Iterator[Item]:
        """Items of one file, entered in the log; one that holds nothing says so."""
        self.log.files += 1
        found = False
        for item in items:
            found = found or not isinstance(item, Waiting)
            if isinstance(item, Record):
                self.log.documents += 1
                if item.label is not None:
                    self.log.labels[item.label] += 1
            yield item
        if not found:
            yield RecordError(source, None, _nothing_in(source))

    def _file(self, file: File) -> Iterator[Item]:
        source, line = str(file.path), None
        try:
            if file.kind == "parquet":
                if file.path.is_file() and file.path.stat().st_size == 0:
                    return
                yield from self._from_rows(self._parquet(file.path), source, "parquet")
                return
            with _open(file.path) as binary:
                for item in self._read(binary, source, file.kind, file.label):
                    if not isinstance(item, Waiting):
                        line = item.line
                    yield item
        except (OSError, EOFError, zlib.error) as error:
            # A file that vanished or may not be read, compressed data that break off: what follows it is still read.
            place = "" if line is None else f" after line {line}"
            yield RecordError(source, None, _unreadable(error, place))

    def _parquet(self, path: Path) -> Iterator[Row | RecordError]:
        options = self.options
        wanted = [options.text_column, options.label_column if self.labelled else None, options.group_column]
        try:
            yield from read_parquet(path, None if self.columns else [name for name in wanted if name is not None])
        except NysformerError as error:
            yield RecordError(str(path), None, str(error).removeprefix(f"{shown(path)}: "))

    def _read(self, binary: BinaryIO, source: str, kind: Format, label: str | None) -> Iterator[Item]:
        encoding = self.options.encoding
        try:
            if kind in ("text", "html"):
                yield from self._whole(binary, source, kind, label)
            elif kind == "lines":
                yield from self._lines(binary, source, label)
            elif kind == "jsonl":
                yield from self._from_rows(read_json(binary, source, encoding), source, kind)
            else:
                assert kind == "csv" or kind == "tsv", "Parquet is read from a file"
                rows = read_separated(binary, source, kind, self.options.delimiter, encoding)
                yield from self._from_rows(rows, source, kind)
        except UnreadableText as error:
            yield RecordError(source, None, str(error))

    def _whole(self, binary: BinaryIO, source: str, kind: Format, label: str | None) -> Iterator[Item]:
        encoding = self.options.encoding
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
            yield self._from_file(text, source, None, label)

    def _lines(self, binary: BinaryIO, source: str, label: str | None) -> Iterator[Item]:
        decoder = Decoder(self.options.encoding)
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
                yield self._from_file(text, source, number, label)

    def _from_rows(
        self, rows: Iterator[RowItem] | Iterator[Row | RecordError], source: str, kind: Format
    ) -> Iterator[Item]:
        """Documents of rows; a table without a column that is needed says so once."""
        needed = [
            (self.options.text_column, "text"),
            (self.options.label_column if self.labelled else None, "label"),
            (self.options.group_column, "group"),
        ]
        for row in rows:
            if not isinstance(row, Row):
                yield row
                continue
            if row.warning is not None:
                self.log.warnings.append(f"{shown(source)}:{row.line}: {row.warning}")
            absent = next((pair for pair in needed if pair[0] is not None and pair[0] not in row.values), None)
            if absent is None:
                yield self._from_row(row, source, kind)
                continue
            reason = (
                f"{_no_column(str(absent[0]), list(map(str, row.values)), kind)}; name the one with the {absent[1]}"
            )
            yield RecordError(source, row.line, reason)
            if kind in ("csv", "tsv", "parquet"):
                return

    def _from_row(self, row: Row, source: str, kind: Format) -> Record | RecordError:
        options = self.options
        value = row.values[options.text_column]
        if value is None:
            return RecordError(source, row.line, f"the document is empty (column {options.text_column!r} is null)")
        if isinstance(value, bytes):  # Parquet's binary columns
            try:
                value = Decoder(options.encoding).decode(value)
            except UnreadableText as error:
                return RecordError(source, row.line, f"column {options.text_column!r} is {error}")
        if not isinstance(value, str):
            reason = f"column {options.text_column!r} is of type {type(value).__name__}, not text"
            return RecordError(source, row.line, reason)
        group = None if options.group_column is None else row.values[options.group_column]
        record = self._record(
            value,
            source,
            row.line,
            label=row.values[cast(str, options.label_column)] if self.labelled else None,
            group=None if group is None or group == "" or group != group else str(group),  # NaN is not itself
            decoder=Decoder(options.encoding) if kind in ("csv", "tsv") else None,
        )
        if isinstance(record, RecordError) or not self.columns:
            return record
        taken = {options.text_column, options.label_column if self.labelled else None}
        return replace(record, columns={name: cell for name, cell in row.values.items() if name not in taken})

    def _from_file(self, text: str, source: str, line: int | None, label: str | None) -> Record | RecordError:
        if self.options.group_column is not None:
            return RecordError(
                source, line, f"no column {self.options.group_column!r}: a text file has none; leave it out"
            )
        return self._record(text, source, line, label=label, group=None, decoder=None)

    def _record(
        self, text: str, source: str, line: int | None, *, label: object, group: str | None, decoder: Decoder | None
    ) -> Record | RecordError:
        if not text.strip():
            return RecordError(source, line, _EMPTY)
        for what, value in (("text", text), ("label", label), ("group", group)):
            if isinstance(value, str) and (fault := _not_unicode(value, decoder)) is not None:
                return RecordError(source, line, fault if what == "text" else f"the {what} is {fault}")
        if not self.labelled:
            return Record(text, source, line, group=group)
        try:
            name = normal_label(label)
        except UnusableLabel as error:
            return RecordError(source, line, str(error))
        if isinstance(label, (str, float)) and str(label) != name:
            self.log.normalized[str(label), name] += 1
        return Record(text, source, line, name, group=group)


def _not_unicode(value: str, decoder: Decoder | None) -> str | None:
    """Why a text cannot be written as UTF-8: a byte a table's encoding does not have, or half a surrogate pair."""
    if value.isascii():
        return None
    try:
        value.encode()
    except UnicodeEncodeError as error:
        if decoder is None:  # out of a JSON escape
            return f"not valid UTF-8 at character {error.start + 1}"
        codec = decoder.encoding.removesuffix("-sig")
        raw = value.encode(codec, "surrogateescape")
        return decoder.reason(raw, len(value[: error.start].encode(codec)))
    return None


def _no_column(column: str, names: list[str], kind: Format) -> str:
    hint = other_delimiter(names, kind) if kind in ("csv", "tsv") else ""
    return f"no column {column!r} (there are: {', '.join(map(shown, names)) or 'none'}){hint}"


def _open(path: Path) -> BinaryIO:
    return cast(BinaryIO, gzip.open(path)) if path.suffix.lower() == ".gz" else path.open("rb")


def _unreadable(error: Exception, place: str = "") -> str:
    return f"cannot be read{place} ({getattr(error, 'strerror', None) or error})"
