"""Rows to records: which columns make the document, and what is wrong with a row that makes none."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from nysformer.data.decoding import Decoder, UnreadableText
from nysformer.data.formats import Format
from nysformer.data.labels import UnusableLabel
from nysformer.data.reading import Column, Layout, NamedLayout, ReadLog, ReadOptions, named_layouts
from nysformer.data.records import EMPTY, Item, Record, RecordError, Row, RowItem, shown
from nysformer.data.separated import other_delimiter
from nysformer.data.values import UnusableValue, as_read, from_cell, native, text_list, type_of

__all__ = ["RowReader", "label_names", "no_column"]

_NESTED_CELLS: tuple[Format | None, ...] = ("csv", "tsv", "parquet", None)
"""Formats whose cells may hold lists as JSON; None is rows in memory."""


class RowReader:
    """Makes records of rows and of whole texts.

    Args:
        options: see `ReadOptions`.
        layouts: how a record may be written.
        labelled: whether documents have targets.
        log: is told of labels in another spelling, and of warnings.
        columns: False leaves `Record.columns` empty.

    Attributes:
        named: the layouts with the file's names of their columns.

    Raises:
        NysformerError: names of columns that cannot be meant, see `named_layouts`.
    """

    def __init__(
        self, options: ReadOptions, layouts: Sequence[Layout], *, labelled: bool, log: ReadLog, columns: bool = True
    ) -> None:
        self.named = named_layouts(layouts, options, labelled=labelled)
        self._options, self._log, self._columns = options, log, columns

    def wanted(self) -> list[str]:
        """Every column that a document is made of, under the file's names."""
        names = [self._options.group_column] + [
            name for named in self.named for name in (named.document, *named.others, named.target)
        ]
        return [name for name in names if name is not None]

    def text_layout(self) -> NamedLayout | str:
        """The layout of a file that is one text; where none suits, the column that such a file lacks."""
        plain = [named for named in self.named if not named.layout.document.nested]
        if not plain:
            return self.named[0].document
        bare = [named for named in plain if not named.others]
        return bare[0] if bare else plain[0].others[0]

    def takes_folder_names(self) -> bool:
        """Whether the folder of a whole text can be its label."""
        named = self.text_layout()
        return not isinstance(named, str) and named.target is not None

    def layout_of(self, names: Iterable[str]) -> NamedLayout | None:
        """The first layout whose document column is among `names`."""
        names = set(names)
        return next((named for named in self.named if named.document in names), None)

    def absent(self, names: Iterable[str], named: NamedLayout | None) -> tuple[str, str] | None:
        """A needed column that is not among `names`, of the layout: how an error names it, and what it holds."""
        if named is None:
            files, tasks = [each.document for each in self.named], [each.layout.document.name for each in self.named]
            return " or ".join(map(repr, dict.fromkeys(files))), " or ".join(dict.fromkeys(tasks))
        names = set(names)
        layout = named.layout
        needed = [(name, column.name) for name, column in zip(named.others, layout.others, strict=True)]
        if layout.target is not None and named.target is not None:
            needed.append((named.target, layout.target.name))
        if self._options.group_column is not None:
            needed.append((self._options.group_column, "group"))
        return next(((repr(name), what) for name, what in needed if name not in names), None)

    def lacks(self, names: Sequence[str]) -> tuple[str, str] | None:
        """As `absent`, for a table with the columns `names`; None where it has all of one layout."""
        found = [named for named in self.named if named.document in names]
        absent = [self.absent(names, named) for named in found] or [self.absent(names, None)]
        return None if None in absent else absent[0]

    def records(self, rows: Iterable[RowItem], source: str, kind: Format | None) -> Iterator[Item]:
        """Documents of rows; a table without a column that is needed says so once for each layout.

        Args:
            rows: of one file.
            source: its name.
            kind: its format; None for rows in memory.
        """
        said: set[NamedLayout | None] = set()
        for row in rows:
            if not isinstance(row, Row):
                yield row
                continue
            if row.warning is not None:
                self._log.warnings.append(f"{shown(source)}:{row.line}: {row.warning}")
            named = self.layout_of(name for name, value in row.values.items() if value is not None)
            named = named or self.layout_of(row.values)
            absent = self.absent(row.values, named)
            if absent is None:
                assert named is not None
                yield self.record(row, named, source, kind)
            elif named not in said:
                names = list(map(str, row.values))
                reason = f"{no_column(absent[0], names, kind)}; name the one with the {absent[1]}"
                yield RecordError(source, row.line, reason, tuple(names))
                if kind in ("csv", "tsv", "parquet", "conll", "conllu"):
                    said.add(named)

    def record(self, row: Row, named: NamedLayout, source: str, kind: Format | None) -> Record | RecordError:
        """The document of a row that has the columns of a layout."""
        decoder = Decoder(self._options.encoding) if kind in ("csv", "tsv") else None
        try:
            return self._record(row, named, source, kind, decoder)
        except UnusableValue as error:
            return RecordError(source, row.line, str(error))
        except RecursionError:
            return RecordError(source, row.line, "a value is nested too deep; fix or remove the document")

    def _record(
        self, row: Row, named: NamedLayout, source: str, kind: Format | None, decoder: Decoder | None
    ) -> Record:
        layout, cells = named.layout, row.values
        text, words = self._document(cells[named.document], layout.document, named.document, kind, decoder)
        values = {
            column.name: self._value(cells[name], column, name, kind, decoder, needed=True)
            for name, column in zip(named.others, layout.others, strict=True)
        }
        label: object = None
        if layout.target is not None and named.target is not None:
            label = self._value(cells[named.target], layout.target, named.target, kind, decoder)
            self._log_spelling(cells[named.target], label)
        group = None
        if self._options.group_column is not None:
            group = _group(cells[self._options.group_column], decoder)
        taken = (named.document, named.target)
        others = {name: cell for name, cell in cells.items() if name not in taken} if self._columns else {}
        return Record(text, source, row.line, label, others, group, words, values)

    def from_text(self, text: str, source: str, line: int | None, label: str | None) -> Record | RecordError:
        """The document of a whole text, or of a line of one, and the label that its folder gives it."""
        named = self.text_layout()
        if isinstance(named, str) or self._options.group_column is not None:
            missing = named if isinstance(named, str) else self._options.group_column
            return RecordError(source, line, _not_in_text(missing))
        if not text.strip():
            return RecordError(source, line, EMPTY)
        target = named.layout.target
        try:
            _check_unicode(text, None)
            if target is None or named.target is None:
                return Record(text, source, line)
            parsed = self._value(label, target, named.target, "text", None)
        except UnusableValue as error:
            if target is not None and target.nested and not isinstance(error, UnusableLabel):
                return RecordError(source, line, _not_in_text(named.target))
            return RecordError(source, line, str(error))
        self._log_spelling(label, parsed)
        return Record(text, source, line, parsed)

    def _document(
        self, value: object, column: Column, name: str, kind: Format | None, decoder: Decoder | None
    ) -> tuple[str, tuple[str, ...] | None]:
        value = self._decoded(value, f"column {name!r} is")
        if isinstance(value, str) and not value.strip():
            raise UnusableValue(EMPTY)
        if column.nested and kind in _NESTED_CELLS:
            try:
                value = from_cell(value)
            except UnusableValue as error:
                raise UnusableValue(f"column {name!r}: {error}") from error
        if value is None or (isinstance(value, float) and value != value):
            raise UnusableValue(f"{EMPTY} (column {name!r} is null)")
        if not column.nested:
            if not isinstance(value, str):
                raise UnusableValue(f"column {name!r} is of type {type_of(value)}, not text")
            _check_unicode(value, decoder)
            return value, None
        try:
            words = text_list(value)
        except UnusableValue as error:
            raise UnusableValue(f"column {name!r}: {error}") from error
        for number, word in enumerate(words, start=1):
            _check_unicode(word, decoder, f"item {number} of column {name!r} is ")
        text = " ".join(words)
        if not text.strip():
            raise UnusableValue(EMPTY)
        return text, words

    def _value(
        self,
        value: object,
        column: Column,
        name: str,
        kind: Format | None,
        decoder: Decoder | None,
        *,
        needed: bool = False,
    ) -> object:
        """What a column other than the document's holds, parsed."""
        value = self._decoded(value, f"the {column.name} is")
        _check_unicode(value, decoder, f"the {column.name} is ")
        try:
            if column.nested and kind in _NESTED_CELLS and isinstance(value, str):
                value = from_cell(value)
                _check_unicode(value, None)
            if needed and value is None:
                raise UnusableLabel(f"the document has no {column.name} (column {name!r} is null)")
            return as_read(value if column.parse is None else column.parse(value))
        except UnusableLabel:
            raise
        except UnusableValue as error:
            raise UnusableValue(f"column {name!r}: {error}") from error

    def _decoded(self, value: object, what: str) -> object:
        """Text of a binary column of Parquet; anything else as it is."""
        if not isinstance(value, bytes):
            return value
        try:
            return Decoder(self._options.encoding).decode(value)
        except UnreadableText as error:
            raise UnusableValue(f"{what} {error}") from error

    def _log_spelling(self, raw: object, label: object) -> None:
        if isinstance(label, str) and isinstance(raw, (str, float)) and str(raw) != label:
            self._log.normalized[str(raw), label] += 1


def label_names(record: Record) -> Iterator[str]:
    """The names that label a document: one, several, or none where its target is of another kind."""
    label = record.label
    if isinstance(label, str):
        yield label
    elif isinstance(label, tuple) and record.words is None:
        yield from dict.fromkeys(name for name in label if isinstance(name, str))


def no_column(column: str, names: list[str], kind: Format | None) -> str:
    """The reason that a column, or each of several, is not among `names`; `column` is in quotes already."""
    hint = other_delimiter(names, kind) if kind == "csv" or kind == "tsv" else ""
    return f"no column {column} (there are: {', '.join(map(shown, names)) or 'none'}){hint}"


def _not_in_text(column: str | None) -> str:
    return f"no column {column!r}: a text file has none; leave it out"


def _group(value: object, decoder: Decoder | None) -> str | None:
    """The key of a group; None where the document stands by itself."""
    value = native(value)
    if value is None or value == "":
        return None
    key = str(value)
    _check_unicode(key, decoder, "the group is ")
    return key


def _check_unicode(value: object, decoder: Decoder | None, what: str = "") -> None:
    """See whether all texts in a value can be written as UTF-8.

    Args:
        value: of a cell.
        decoder: of the table it came from, whose bytes that are not in its encoding are lone surrogates; None for text
            from elsewhere, where a lone surrogate is half of a pair.
        what: how the reason begins.

    Raises:
        UnusableValue: one cannot.
    """
    if isinstance(value, str):
        if value.isascii():
            return
        try:
            value.encode()
        except UnicodeEncodeError as error:
            if decoder is None:
                raise UnusableValue(f"{what}not valid UTF-8 at character {error.start + 1}") from error
            codec = decoder.encoding.removesuffix("-sig")
            raw = value.encode(codec, "surrogateescape")
            raise UnusableValue(what + decoder.reason(raw, len(value[: error.start].encode(codec)))) from error
    elif isinstance(value, Mapping):
        for name, item in value.items():
            _check_unicode(name, decoder, what)
            _check_unicode(item, decoder, what)
    elif isinstance(value, list | tuple):
        for item in value:
            _check_unicode(item, decoder, what)
