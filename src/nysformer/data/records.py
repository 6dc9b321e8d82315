"""The document schema: what a reader yields, and the rows of a table that documents are made of."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

__all__ = ["EMPTY", "HOLDS_NOTHING", "Item", "Record", "RecordError", "Row", "RowItem", "Waiting", "shown"]

EMPTY = "the document is empty"
"""The reason of a `RecordError` for a document without a visible character."""

HOLDS_NOTHING = "holds no document"
"""How the reason of a `RecordError` for an empty source ends, whatever its format."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a file of rows.

    Attributes:
        values: its columns.
        line: from 1: the line of JSON Lines, the line a CSV row begins on, the row of Parquet or of a JSON array.
        warning: what looks wrong with a row that was read all the same.
    """

    values: Mapping[str, object]
    line: int
    warning: str | None = None


@dataclass(frozen=True, slots=True)
class Record:
    """One document and its place; `line` (see `Row`) is None where the whole file is the document.

    Attributes:
        text: of the document, never blank; where the document came as words, these with blanks between.
        source: the file it came from, or what the caller named it; bytes of a file name that are not UTF-8 are lone
            surrogates, as Python gives them (see `shown`).
        line: from 1; None where the whole file is the document.
        label: what the document's target column holds (see `nysformer.data.reading.Column.parse`), such as the name of
            its label; None where there is none or none was asked for.
        columns: the other columns of its row, as they were read; not compared.
        group: its value in the group column, None where there is none or none was asked for.
        words: of a document that came as a list of words; None where it came as text.
        values: what the columns hold that a task needs beside the document, such as a question, under the task's names.
    """

    text: str
    source: str
    line: int | None = None
    label: Any = None
    columns: Mapping[str, object] = field(default_factory=dict, compare=False)
    group: str | None = None
    words: tuple[str, ...] | None = None
    values: Mapping[str, Any] = field(default_factory=dict)

    @property
    def place(self) -> str:
        """Where it stands, for messages: one printable line."""
        return shown(self.source) if self.line is None else f"{shown(self.source)}:{self.line}"


@dataclass(frozen=True, slots=True)
class RecordError:
    """What could not be read, where, and why.

    Attributes:
        source, line: where; `line` is None where the whole file is meant.
        reason: why.
        columns: of a row that lacks one which is needed; not compared.
    """

    source: str
    line: int | None
    reason: str
    columns: tuple[str, ...] = field(default=(), compare=False)

    def __str__(self) -> str:
        place = shown(self.source) if self.line is None else f"{shown(self.source)}:{self.line}"
        return f"{place}: {self.reason}"


@dataclass(frozen=True, slots=True)
class Waiting:
    """The sender has sent no more for now: whoever gathers records should answer those at hand."""


Item: TypeAlias = Record | RecordError | Waiting
RowItem: TypeAlias = Row | RecordError | Waiting


def shown(source: object) -> str:
    r"""A file name as one printable line: control characters and bytes that are not UTF-8 become escapes.

    Example:
        >>> shown("two\nlines"), shown("\udcff.txt")
        ('two\\nlines', '\\xff.txt')
    """
    text = str(source).encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    if text.isprintable():
        return text
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode() for character in text
    )
