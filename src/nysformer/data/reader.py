"""The one reader: documents from files, folders and standard input, in the same order and by the same rules for all.

Training, evaluation and prediction read through here. `read_records` is lenient: what cannot be read comes as a
`RecordError` in its place, and the rest is read. `read_strictly` raises the first of them.
"""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, cast

from nysformer.data.file_reader import FileReader, table_columns
from nysformer.data.formats import format_of
from nysformer.data.memory import GIVEN, Data, Rows, Table, rows_in_memory
from nysformer.data.reading import TEXT_AND_LABEL, Layout, ReadLog, ReadOptions
from nysformer.data.records import EMPTY, HOLDS_NOTHING, Item, Record, RecordError, Waiting, shown
from nysformer.data.rows import RowReader, label_names, no_column
from nysformer.data.sources import STDIN, WHOLE_FILES, check_sources, find_files, list_sources, nothing
from nysformer.errors import MissingColumn, NysformerError

__all__ = ["STDIN", "Data", "ReadLog", "ReadOptions", "check_columns", "read_records", "read_strictly"]

_STDIN_NAME = "<stdin>"
_WHAT = {_STDIN_NAME: "input", GIVEN: "table"}


def read_records(
    data: Data,
    options: ReadOptions | None = None,
    layouts: Sequence[Layout] = TEXT_AND_LABEL,
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

    Rows in memory are read alike: their source is "document" and their line is their number; NaN and None are missing
    values, arrays are lists, and a dataset's numbers of labels are their names where it knows them.

    Args:
        data: at least one source, where "-" is standard input; or rows (see `nysformer.data.memory.Data`).
        options: None for the defaults.
        layouts: which columns make a document.
        labelled: whether documents have targets, such as labels. By default a label is normalized (see
            `labels.normal_label`).
        stdin: the bytes of "-".
        log: is told what the reading meets.
        columns: False leaves `Record.columns` empty, and other columns of Parquet files unread.

    Returns:
        An iterator over documents, over a `RecordError` for each file, line or row that holds none, and over a
        `Waiting` whenever the next line of a pipe is not there yet. Blank lines are left out. If no source holds
        anything at all it raises a `NysformerError`.

    Raises:
        NysformerError: at once, before anything is read, for a source that does not exist or cannot be read as asked;
            for sources that are all empty; for names of columns that cannot be meant; for a text file where documents
            need more than a text; for data that are neither sources nor rows; for a table in memory and, without
            labels, a table in a file that lacks a column that is needed.

    Example:
        >>> import io
        >>> list(read_records("-", labelled=False, stdin=io.BytesIO(b'{"text": "one"}')))
        [Record(text='one', source='<stdin>', line=1, label=None, columns={}, group=None,
        words=None, values={})]
    """
    options = options or ReadOptions()
    labelled = labelled and any(layout.target is not None for layout in layouts)
    reading = _Reading(options, layouts, labelled, ReadLog() if log is None else log, columns)
    given = rows_in_memory(data)
    if not isinstance(given, list):
        return _unless_all_empty(reading.in_memory(given))
    listed = list_sources(given)
    if STDIN in listed and stdin is None:
        raise NysformerError("standard input (-) is not open; name a file or a folder")
    if STDIN in listed and options.input_format == "parquet":
        raise NysformerError("standard input cannot be read as Parquet; write it to a file and name that")
    check_sources(listed, input_format=options.input_format, all_files=options.all_files, labelled=labelled)
    for source in listed:
        if source != STDIN:
            reading.files.check(Path(source))
    return _unless_all_empty(reading.items(listed, stdin))


def read_strictly(
    data: Data,
    options: ReadOptions | None = None,
    layouts: Sequence[Layout] = TEXT_AND_LABEL,
    *,
    labelled: bool,
    stdin: BinaryIO | None = None,
    log: ReadLog | None = None,
    columns: bool = True,
) -> Iterator[Record]:
    """As `read_records`, for documents that must all be whole.

    Raises:
        NysformerError: also, while reading, for the first `RecordError`.
        MissingColumn: that is one, where the first row lacks a column.
    """
    items = read_records(data, options, layouts, labelled=labelled, stdin=stdin, log=log, columns=columns)
    found = False
    for item in items:
        if isinstance(item, RecordError):
            if item.columns and not found:
                raise MissingColumn(str(item), item.columns)
            remedy = "leave it out" if item.reason.endswith(HOLDS_NOTHING) else "fix or remove it"
            raise NysformerError(str(item) if ";" in item.reason else f"{item}; {remedy}")
        if isinstance(item, Record):
            found = True
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
    return f"the {_WHAT.get(source, 'file')} {HOLDS_NOTHING}"


def _is_empty(error: RecordError) -> bool:
    return error.line is None and (error.reason == EMPTY or error.reason.endswith(HOLDS_NOTHING))


def check_columns(
    sources: str | Path | Iterable[str | Path],
    options: ReadOptions,
    names: Iterable[str],
    layouts: Sequence[Layout] = TEXT_AND_LABEL,
) -> None:
    """Look for columns in the sources whose columns can be known before they are read: tables, and files of text.

    Args:
        sources, options, layouts: see `read_records`.
        names: of columns.

    Raises:
        NysformerError: a source that lacks one of them.
    """
    names = list(names)
    text = RowReader(options, layouts, labelled=False, log=ReadLog()).text_layout()
    for source in list_sources(sources) if names else []:
        path = Path(source)
        kind = options.input_format or format_of(path)
        if source == STDIN or not path.is_file():
            continue
        known = table_columns(path, options)
        if known is None and (kind is None or kind in WHOLE_FILES):
            known = [] if isinstance(text, str) else [text.document]  # all there is of a text
        missing = next((name for name in names if known is not None and name not in known), None)
        if missing is not None:
            raise NysformerError(f"{shown(path)}: no column {missing!r} (there are: {', '.join(known or ())})")


class _Reading:
    """One reading, with what it was told."""

    def __init__(
        self, options: ReadOptions, layouts: Sequence[Layout], labelled: bool, log: ReadLog, columns: bool
    ) -> None:
        self.options, self.labelled, self.log, self.columns = options, labelled, log, columns
        self.rows = RowReader(options, layouts, labelled=labelled, log=log, columns=columns)
        self.files = FileReader(options, self.rows, labelled=labelled, columns=columns)

    def in_memory(self, given: Table | Rows) -> Iterator[Item]:
        """Of rows that are in memory.

        Raises:
            MissingColumn: at once, for a table without a column that is needed.
        """
        if not isinstance(given, Table):
            return self._counted(self.rows.records(given, GIVEN, None), GIVEN)
        absent = None if given.columns is None else self.rows.lacks(given.columns)
        if absent is not None:
            reason = no_column(absent[0], given.columns or [], None)
            line = f"the {given.kind} has {reason}; name the one with the {absent[1]}"
            raise MissingColumn(line, tuple(given.columns or ()))
        rows = given.read(None if self.columns else self.rows.wanted())
        return self._counted(self.rows.records(rows, GIVEN, None), GIVEN)

    def items(self, sources: list[str], stdin: BinaryIO | None) -> Iterator[Item]:
        """Of all sources."""
        options = self.options
        for source in sources:
            if source == STDIN:
                kind = options.input_format or "jsonl"
                yield from self._counted(self.files.open(cast(BinaryIO, stdin), _STDIN_NAME, kind, None), _STDIN_NAME)
                continue
            files = find_files(
                source,
                input_format=options.input_format,
                all_files=options.all_files,
                label_from=options.label_from if self.labelled and self.rows.takes_folder_names() else None,
                skipped=self.log.skipped,
            )
            found = False
            for file in files:
                found = True
                if isinstance(file, RecordError):
                    yield file
                else:
                    yield from self._counted(self.files.file(file), str(file.path))
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
                self.log.labels.update(label_names(item))
            yield item
        if not found:
            yield RecordError(source, None, _nothing_in(source))
