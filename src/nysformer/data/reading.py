"""What a reading is told: which columns make a document, and how files are read; and what it tells."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from nysformer.data.decoding import check_encoding
from nysformer.data.formats import FORMATS, Format
from nysformer.data.labels import normal_label
from nysformer.data.records import shown
from nysformer.data.separated import check_delimiter
from nysformer.errors import NysformerError
from nysformer.options import Choice, Flag, Names, Text, check_options, option, option_class

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


class _Delimiter:
    """One character; "tab" is one, too, since a tab is hard to type."""

    def read(self, name: str, value: Any) -> str:
        text = Text().read(name, value)
        text = "\t" if text in ("tab", "\\t") else text
        check_delimiter(text)
        return text


class _Encoding:
    """The name of an encoding."""

    def read(self, name: str, value: Any) -> str:
        return check_encoding(Text().read(name, value))


@option_class
@dataclass(frozen=True, slots=True, kw_only=True)
class ReadOptions:
    """How documents are read."""

    text_column: str | None = option(
        None,
        Text(),
        metavar="NAME",
        panel="Documents",
        show_default="text",
        help="Column or JSON key with the text.",
    )
    label_column: str | None = option(
        None,
        Text(),
        metavar="NAME",
        panel="Documents",
        show_default="label",
        help="Column or JSON key with the label.",
    )
    columns: Mapping[str, str] = option(
        {},
        Names(),
        metavar="NAME=COLUMN",
        panel="Documents",
        flag="--column",
        help="Another name for a column of the task, such as question=query; may be given several times.",
    )
    group_column: str | None = option(
        None,
        Text(),
        metavar="NAME",
        panel="Documents",
        help="Column that says which documents belong together, such as a thread or an author: all of them are held "
        "out or none. A document without a value stands by itself.",
    )
    input_format: Format | None = option(
        None,
        Choice(FORMATS, none="auto"),
        panel="Documents",
        help="How to read files and standard input. auto: by suffix; a named file with another suffix is one text "
        "document, standard input is jsonl. text, html: the whole is one document. lines: one document per line.",
    )
    delimiter: str | None = option(
        None,
        _Delimiter(),
        metavar="CHARACTER",
        panel="Documents",
        show_default="a comma",
        help="Between the cells of CSV files, such as ';' or 'tab'. TSV has tabs always.",
    )
    encoding: str | None = option(
        None,
        _Encoding(),
        metavar="NAME",
        panel="Documents",
        show_default="UTF-8; HTML as the page says",
        help="Encoding of the files, such as cp1252 or utf-16; Parquet has its own.",
    )
    label_from: Literal["top", "parent"] = option(
        "top",
        Choice(("top", "parent")),
        panel="Documents",
        help="What labels a text file. top: the first folder below the source. parent: the folder it lies in. Where "
        "all files lie directly in the source, it is the source's own name.",
    )
    all_files: bool = option(
        False, Flag(), panel="Documents", help="In folders, read files of an unknown suffix, or of none, as text."
    )

    def __post_init__(self) -> None:
        """Refuse what cannot be meant.

        Raises:
            NysformerError: with the field, its value and what it may be.
        """
        check_options(self)
        if self.text_column is not None and self.text_column in (self.label_column, self.group_column):
            raise NysformerError(
                f"text_column: {self.text_column!r} is the column of the label or group, too; name others"
            )


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
