"""Rows of CSV and TSV files with a header, and what stray quotes and other delimiters do to them."""

import csv
import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO, Literal

from nysformer.data.decoding import Decoder, UnreadableText, head_of, not_text
from nysformer.data.records import RecordError, Row
from nysformer.errors import NysformerError

__all__ = ["check_delimiter", "other_delimiter", "read_separated", "separated_columns"]

_DELIMITERS = ",;\t|"
_QUOTING: dict[str, Literal[0, 3]] = {"csv": csv.QUOTE_MINIMAL, "tsv": csv.QUOTE_NONE}
# From this many lines on a quoted cell is looked at: two stray quotes make one cell of the rows between them.
_LONG_CELL = 4


def check_delimiter(delimiter: str) -> None:
    """See whether cells can be parted by `delimiter`.

    Raises:
        NysformerError: it is not one character, or one with another meaning.
    """
    if len(delimiter) != 1 or delimiter in '"\r\n\0':
        raise NysformerError(f"delimiter: {delimiter!r} cannot part cells; give one character such as ';' or '\\t'")


def other_delimiter(header: list[str], kind: Literal["csv", "tsv"]) -> str:
    """A hint, beginning with "; ", where a header of one cell holds what may be its delimiter; else nothing."""
    if len(header) == 1:
        for delimiter in _DELIMITERS:
            if delimiter in header[0]:
                wanted = f"delimiter={delimiter!r}"
                if kind == "tsv":
                    wanted = f"input_format='csv' and {wanted}"
                return f"; the header is one cell with {delimiter!r} in it: give {wanted}"
    return ""


def separated_columns(
    binary: BinaryIO, source: str, kind: Literal["csv", "tsv"], delimiter: str | None, encoding: str | None
) -> list[str]:
    """The header of an open CSV or TSV file; empty where it has none.

    Raises:
        NysformerError: the header is malformed.
    """
    with _Table(binary, source, kind, delimiter, encoding).open() as table:
        fault = table.read_header()
    if fault is not None:
        raise NysformerError(str(fault))
    return [name for name in table.header if name]


def read_separated(
    binary: BinaryIO,
    source: str,
    kind: Literal["csv", "tsv"],
    delimiter: str | None = None,
    encoding: str | None = None,
) -> Iterator[Row | RecordError]:
    """Rows of an open CSV or TSV file.

    CSV has cells in quotes where they hold a delimiter, a line end or a quote, which is doubled there. In TSV every
    tab parts cells, every line end parts rows, and a quote is a character. Blank lines are left out. Columns without a
    name are left out. Bytes that are not in the encoding come as lone surrogates in their cell.

    Args:
        binary: the open file, which stays open.
        source: its name.
        kind: of the two.
        delimiter: between the cells of CSV; None for a comma. TSV has tabs always.
        encoding: None for UTF-8.

    Raises:
        UnreadableText: binary data, or text that is not in an encoding such as UTF-16.
    """
    with _Table(binary, source, kind, delimiter, encoding).open() as table:
        fault = table.read_header()
        if fault is not None:
            yield fault
            return
        if table.header:
            yield from table.rows()


class _Table:
    """The reading of one file; `_lines` are those of the row at hand."""

    def __init__(
        self, binary: BinaryIO, source: str, kind: Literal["csv", "tsv"], delimiter: str | None, encoding: str | None
    ) -> None:
        self.source, self.kind = source, kind
        self.header: list[str] = []
        self.delimiter = "\t" if kind == "tsv" else delimiter or ","
        self._binary = binary
        self._decoder = Decoder(encoding)
        self._lines: list[str] = []

    @contextmanager
    def open(self) -> Iterator["_Table"]:
        """Read the lines of the file inside the block."""
        reason = not_text(head_of(self._binary), self._decoder.encoding)
        if reason is not None:
            raise UnreadableText(reason)
        # The limit, one for the whole process, is 131,072 characters per cell: long documents are what is read here.
        csv.field_size_limit(2**31 - 1)
        bytewise = self._decoder.is_bytewise
        text = io.TextIOWrapper(
            self._binary,
            encoding=self._decoder.encoding,
            errors="surrogateescape" if bytewise else "strict",
            newline="",
        )
        # strict: else text after a closing quote is taken for a part of the cell
        self._reader = csv.reader(self._kept(text), delimiter=self.delimiter, quoting=_QUOTING[self.kind], strict=True)
        try:
            yield self
        except UnicodeDecodeError as error:
            raise UnreadableText(
                f"not {self._decoder.encoding} after line {self._reader.line_num}; give its own encoding"
            ) from error
        finally:
            text.detach()  # standard input stays open

    def read_header(self) -> RecordError | None:
        """Read the first row that is not blank; what is wrong with it."""
        cells: list[str] = []
        while not cells or (len(cells) == 1 and not cells[0].strip()):
            self._lines.clear()
            try:
                cells = next(self._reader)
            except StopIteration:
                return None
            except csv.Error as error:
                return self._fault(error, "header")
        names = [cell.removeprefix("\ufeff").strip() for cell in cells]
        line = self._reader.line_num
        for name in names:
            if name and names.count(name) > 1:
                return RecordError(self.source, line, f"malformed header: the column {name!r} stands twice; rename one")
            if not name.isprintable() and any("\udc80" <= character <= "\udcff" for character in name):
                raw = name.encode(self._decoder.encoding.removesuffix("-sig"), "surrogateescape")
                start = next(place for place, character in enumerate(name) if "\udc80" <= character <= "\udcff")
                return RecordError(self.source, line, f"malformed header: {self._decoder.reason(raw, start)}")
        if not any(names):
            return RecordError(self.source, line, "malformed header: no column has a name; name the columns")
        self.header = names
        return None

    def rows(self) -> Iterator[Row | RecordError]:
        """The rows below the header."""
        while True:
            line = self._reader.line_num + 1
            self._lines.clear()
            try:
                cells = next(self._reader)
            except StopIteration:
                return
            except csv.Error as error:  # the reader goes on with the next line
                yield self._fault(error, "row")
                continue
            if not cells or (len(cells) == 1 < len(self.header) and not cells[0].strip()):
                continue  # a blank line
            if len(cells) != len(self.header):
                reason = f"malformed row: {len(cells)} cells under a header of {len(self.header)}{self._hint(cells)}"
                yield RecordError(self.source, line, reason)
            elif any("\0" in cell for cell in cells):
                yield RecordError(self.source, line, "malformed row: a zero byte; is the file binary?")
            else:
                values = {name: cell for name, cell in zip(self.header, cells, strict=True) if name}
                yield Row(values, line, self._warning(cells))

    def _kept(self, text: io.TextIOWrapper) -> Iterator[str]:
        for line in text:
            self._lines.append(line)
            yield line

    def _fault(self, error: csv.Error, where: str) -> RecordError:
        """A malformed row or header: on which line its quote opened, and how many lines that covered."""
        last = self._reader.line_num
        first = last - len(self._lines) + 1
        opened = self._quote_opened()
        if opened is None:
            return RecordError(self.source, first, f"malformed {where}: {error}")
        covered = len(self._lines) - opened
        lines = f"{covered:,} line{'s' if covered > 1 else ''}"
        if "unexpected end" in str(error):
            fault = f"is never closed and covers {lines}, to the end of the file"
        else:
            fault = f"covers {lines} and closes on line {last} before other text"
        quote = f"the quote that opens on line {first + opened} {fault}"
        return RecordError(
            self.source, first, f"malformed {where}: {quote}; close it, or double each quote in a quoted cell"
        )

    def _quote_opened(self) -> int | None:
        """The line, of those at hand and from 0, on which the last quoted cell opened."""
        if self.kind == "tsv":
            return None
        opened, quoted, start = None, False, True
        for number, line in enumerate(self._lines):
            place = 0
            while place < len(line):
                character = line[place]
                if quoted:
                    place = line.find('"', place)
                    if place < 0:
                        break
                    if line[place + 1 : place + 2] == '"':
                        place += 1
                    else:
                        quoted = False
                elif start and character == '"':
                    opened, quoted, start = number, True, False
                else:
                    start = character in (self.delimiter, "\r", "\n")
                place += 1
        return opened

    def _hint(self, cells: list[str]) -> str:
        if hint := other_delimiter(self.header, self.kind):
            return hint
        if self.kind == "tsv" and any(cell.count('"') % 2 for cell in cells):
            return "; TSV has no quoting: read a quoted file with input_format='csv' and delimiter='\\t'"
        return ""

    def _warning(self, cells: list[str]) -> str | None:
        """Whether a quoted cell looks like rows that two stray quotes made one."""
        if len(self._lines) < _LONG_CELL or len(self.header) < 2:
            return None
        if all(line.count(self.delimiter) == len(self.header) - 1 for line in self._lines):
            lines = f"{len(self._lines):,} lines"
            return f"a quoted cell of {lines} looks like rows between two stray quotes; see whether it is one document"
        return None
