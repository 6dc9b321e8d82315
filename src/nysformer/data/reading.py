"""What a reading is told, and what it tells."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Literal

from nysformer.data.decoding import check_encoding
from nysformer.data.formats import FORMATS, Format
from nysformer.data.records import shown
from nysformer.data.separated import check_delimiter
from nysformer.errors import NysformerError

__all__ = ["ReadLog", "ReadOptions"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadOptions:
    """How documents are read.

    Attributes:
        text_column: the JSON key or the column that holds the text.
        label_column: the one that holds the label; None where there are no labels.
        group_column: the one whose value says which documents belong together; None where nothing does.
        input_format: how to read every file and standard input, whatever their suffix (see `formats.Format`); None to
            go by the suffix.
        delimiter: between the cells of CSV, one character; None for a comma. TSV has tabs always.
        encoding: of all text but Parquet's; None for UTF-8, and for HTML what the page says.
        label_from: what labels a text file: the first folder below the source ("top"), or the folder it lies in
            ("parent"). Where all files lie directly in the source, it is the source's own name.
        all_files: read files of an unknown suffix, or of none, as text.
    """

    text_column: str = "text"
    label_column: str | None = "label"
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
            if not isinstance(value, str) and (value is not None or name == "text_column"):
                raise NysformerError(f"{name}: {value!r} is of type {type(value).__name__}; give text")
        if self.text_column in (self.label_column, self.group_column):
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
