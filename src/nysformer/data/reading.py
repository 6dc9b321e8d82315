"""What a reading is told, and what it tells."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Literal

from nysformer.data.decoding import check_encoding
from nysformer.data.formats import FORMATS, Format
from nysformer.data.records import shown
from nysformer.data.separated import check_delimiter
from nysformer.errors import NysformerError
from nysformer.options import Choice, Flag, OrNone, Text, check_options, option, option_class

__all__ = ["ReadLog", "ReadOptions"]


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

    text_column: str = option(
        "text", Text(), metavar="NAME", panel="Documents", help="Column or JSON key with the text."
    )
    label_column: str | None = option(
        "label", OrNone(Text()), metavar="NAME", panel="Documents", help="Column or JSON key with the label."
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
        if self.text_column in (self.label_column, self.group_column):
            raise NysformerError(
                f"text_column: {self.text_column!r} is the column of the label or group, too; name others"
            )


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
