"""What a reading is told: which columns make a document, and how files are read; and what it tells."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from nysformer.data.decoding import check_encoding
from nysformer.data.formats import FORMATS, Format
from nysformer.data.labels import normal_label
from nysformer.data.records import shown
from nysformer.data.separated import check_delimiter
from nysformer.errors import NysformerError

__all__ = ["TEXT_AND_LABEL", "Column", "Layout", "NamedLayout", "ReadLog", "ReadOptions", "named_layouts"]


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the input.

    Attributes:
        name: its default name in files; `ReadOptions` may rename it.
        help: what it holds, for `--help` and errors.
        parse: checks one value and gives it in the form that a record has. It raises
            `nysformer.data.values.UnusableValue` with the reason, which the reader completes with the place and the
            column's name, or `nysformer.data.labels.UnusableLabel`, whose reason needs no name. It is given None where
            there is no value. A document's column has none.
        nested: whether its values are, or may be, lists or objects: cells of CSV, TSV and Parquet then hold these as
            JSON. A nested document is a list of words, any other is text.
    """

    name: str
    help: str
    parse: Callable[[object], object] | None = None
    nested: bool = False


@dataclass(frozen=True, slots=True)
class Layout:
    """One way to write a record; of several, the first counts whose document column a row has.

    Attributes:
        document: the column of the document: its text, or the list of its words.
        target: the column of what is to be learnt, which only labelled documents need; None where there is none.
        others: the columns that are needed always, such as a question.
    """

    document: Column
    target: Column | None = None
    others: tuple[Column, ...] = ()

    def columns(self) -> Iterator[Column]:
        """All of them."""
        yield self.document
        yield from self.others
        if self.target is not None:
            yield self.target


TEXT_AND_LABEL = (Layout(Column("text", "the document"), Column("label", "its label", parse=normal_label)),)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadOptions:
    """How documents are read.

    Attributes:
        text_column: the file's name of the column of text: that of the layout whose document is called "text", else of
            the first layout. None: as the layout names it.
        label_column: the file's name of that layout's target. None: as the layout names it.
        columns: further names: the task's name of a column -> the file's.
        group_column: the column whose value says which documents belong together; None where nothing does.
        input_format: how to read every file and standard input, whatever their suffix (see `formats.Format`); None to
            go by the suffix.
        delimiter: between the cells of CSV, one character; None for a comma. TSV has tabs always.
        encoding: of all text but Parquet's; None for UTF-8, and for HTML what the page says.
        label_from: what labels a text file: the first folder below the source ("top"), or the folder it lies in
            ("parent"). Where all files lie directly in the source, it is the source's own name.
        all_files: read files of an unknown suffix, or of none, as text.
    """

    text_column: str | None = None
    label_column: str | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    group_column: str | None = None
    input_format: Format | None = None
    delimiter: str | None = None
    encoding: str | None = None
    label_from: Literal["top", "parent"] = "top"
    all_files: bool = False

    def __post_init__(self) -> None:
        """Refuse what cannot be meant.

        Raises:
            NysformerError: with the field and what it may be.
        """
        for name in ("text_column", "label_column", "group_column", "delimiter", "encoding"):
            value = getattr(self, name)
            if not isinstance(value, str) and value is not None:
                raise NysformerError(f"{name}: {value!r} is of type {type(value).__name__}; give text")
        if not isinstance(self.columns, Mapping) or not all(
            isinstance(name, str) for pair in self.columns.items() for name in pair
        ):
            raise NysformerError(
                f"columns: {self.columns!r} is no mapping of names; give one such as {{'question': 'query'}}"
            )
        if self.text_column is not None and self.text_column in (self.label_column, self.group_column):
            raise NysformerError(
                f"text_column: {self.text_column!r} is the column of the label or group, too; name others"
            )
        if self.input_format not in (None, *FORMATS):
            raise NysformerError(f"input_format: {self.input_format!r} is unknown; choose {', '.join(FORMATS)}")
        if self.label_from not in ("top", "parent"):
            raise NysformerError(f"label_from: {self.label_from!r} is unknown; choose top or parent")
        if self.delimiter is not None:
            check_delimiter(self.delimiter)
        if self.encoding is not None:
            object.__setattr__(self, "encoding", check_encoding(self.encoding))


@dataclass(frozen=True, slots=True)
class NamedLayout:
    """A layout and the file's names of its columns.

    Attributes:
        layout: of the task.
        document: the file's name of the document's column.
        target: of the target's; None where the layout has none, or none is read.
        others: of the others', in their order.
    """

    layout: Layout
    document: str
    target: str | None
    others: tuple[str, ...]


def named_layouts(layouts: Sequence[Layout], options: ReadOptions, *, labelled: bool = True) -> tuple[NamedLayout, ...]:
    """Layouts with the names that files use for their columns; without labels, no target is read.

    Raises:
        NysformerError: a name for a column that no layout has, or one name for two columns.

    Example:
        >>> [named.document for named in named_layouts(TEXT_AND_LABEL, ReadOptions(text_column="body"))]
        ['body']
    """
    renamed: list[dict[str, str]] = []
    known = list(dict.fromkeys(column.name for layout in layouts for column in layout.columns()))
    unknown = next((name for name in options.columns if name not in known), None)
    if unknown is not None:
        raise NysformerError(
            f"columns: the task has no column {unknown!r} (there are: {', '.join(known)}); fix the name"
        )
    texts = [number for number, layout in enumerate(layouts) if layout.document.name == "text"]
    chosen = (texts or [0])[0]
    for number, layout in enumerate(layouts):
        names = {column.name: options.columns.get(column.name, column.name) for column in layout.columns()}
        if number == chosen:
            _rename(names, layout.document, options.text_column, "text_column", options)
            _rename(names, layout.target, options.label_column, "label_column", options)
        if layout.target is not None and not labelled:
            del names[layout.target.name]
        renamed.append(names)
    for layout, names in zip(layouts, renamed, strict=True):
        twice = next((name for name in names.values() if list(names.values()).count(name) > 1), None)
        if twice is not None:
            both = " and ".join(repr(name) for name, given in names.items() if given == twice)
            raise NysformerError(f"columns: {twice!r} is the name of {both}; give each a name of its own")
        if options.group_column == names[layout.document.name]:
            raise NysformerError(f"group_column: {options.group_column!r} is the column of the document; name another")
    return tuple(
        NamedLayout(
            layout,
            names[layout.document.name],
            None if layout.target is None else names.get(layout.target.name),
            tuple(names[column.name] for column in layout.others),
        )
        for layout, names in zip(layouts, renamed, strict=True)
    )


def _rename(
    names: dict[str, str], column: Column | None, given: str | None, argument: str, options: ReadOptions
) -> None:
    if given is None:
        return
    if column is None:
        raise NysformerError(f"{argument}: {given!r} names nothing: these documents have no labels; leave it out")
    if options.columns.get(column.name, given) != given:
        raise NysformerError(
            f"{argument}: {given!r}, but columns names {options.columns[column.name]!r}; leave out one of the two"
        )
    names[column.name] = given


@dataclass(slots=True)
class ReadLog:
    """What a reading met; whole when the reading has ended.

    Attributes:
        files: that were opened.
        documents: that were read.
        skipped: entries of folders that were left out, by suffix or kind.
        labels: documents by label.
        normalized: labels that were read in another spelling: (as read, as counted) -> documents.
        warnings: about what was read and looks wrong.
    """

    files: int = 0
    documents: int = 0
    skipped: Counter[str] = field(default_factory=Counter)
    labels: Counter[str] = field(default_factory=Counter)
    normalized: Counter[tuple[str, str]] = field(default_factory=Counter)
    warnings: list[str] = field(default_factory=list)

    def lines(self) -> list[str]:
        """What the user should know, one line per subject; nothing where all was as it should be."""
        lines = []
        if self.skipped:
            most = sorted(self.skipped.items(), key=lambda item: (-item[1], item[0]))
            held = ", ".join(f"{count:,} {shown(name)}" for name, count in most)
            lines.append(f"skipped: {held}")
        if self.normalized:
            (raw, name), _ = self.normalized.most_common(1)[0]
            count = self.normalized.total()
            lines.append(f"labels: {count:,} written otherwise, such as {raw!r} for {name!r}, count as one spelling")
        if self.warnings:
            more = f" ({len(self.warnings) - 1:,} more like it)" if len(self.warnings) > 1 else ""
            lines.append(f"warning: {self.warnings[0]}{more}")
        return lines

    def label_table(self) -> list[tuple[str, int]]:
        """Each label with its documents, the most frequent first."""
        return sorted(self.labels.items(), key=lambda item: (-item[1], item[0]))
