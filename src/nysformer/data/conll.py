"""Documents of CoNLL files: a word and its tag on every line, one document in memory at a time."""

import re
from collections.abc import Callable, Iterator
from typing import BinaryIO, TypeAlias

from nysformer.data.decoding import Decoder, UnreadableText
from nysformer.data.lines import read_lines
from nysformer.data.records import RecordError, Row, RowItem, Waiting

__all__ = ["TAGS", "TOKENS", "read_conll", "read_conllu"]

TOKENS, TAGS = "tokens", "tags"
"""The columns of the rows that CoNLL files become."""

Lines: TypeAlias = list[tuple[int, str | RecordError]]

_MARK = "-DOCSTART-"
_NEW_DOCUMENT = re.compile(r"#\s*newdoc(\s|$)")
_RANGE_OR_EMPTY = re.compile(r"\d+[-.]\d+")  # 1-2, words that are written as one, and 1.1, a word that is not written
_CONLLU_COLUMNS = 10


def read_conll(binary: BinaryIO, source: str, encoding: str | None = None) -> Iterator[RowItem]:
    """Rows {"tokens": [...], "tags": [...]} of an open file with a word, further columns and a tag on every line.

    Columns are parted by tabs, or by blanks in a file whose first line has no tab. The first is the word, the last the
    tag; a file of one column has no tags. A blank line ends a document; from the first line on that begins with
    -DOCSTART-, only such lines do. A line that begins with # before a document's first word is a comment, unless it has
    as many columns as a word's line.

    Args:
        binary: the open file, which stays open.
        source: its name.
        encoding: None for UTF-8.

    Returns:
        An iterator over documents, each with the line it begins on, and over a `RecordError` in the place of each that
        has a line with another number of columns than the file's first.

    Raises:
        UnreadableText: binary data, or another encoding whose lines cannot be told.
    """
    separator: str | None = None
    width = 0
    for lines in _documents(binary, source, encoding, lambda line: line.startswith(_MARK)):
        if isinstance(lines, Waiting):
            yield lines
            continue
        begin = lines[0][0]
        marked = isinstance(lines[0][1], str) and lines[0][1].startswith(_MARK)
        words: list[list[str]] = []
        fault: RecordError | None = None
        if separator is None:
            first = next((line for _, line in lines[marked:] if isinstance(line, str) and line[0] != "#"), None)
            if first is not None:
                separator = "\t" if "\t" in first else " "
                width = len(_cells(first, separator))
        for number, line in lines[marked:]:
            if isinstance(line, RecordError):
                fault = fault or line
                continue
            cells = _cells(line, separator or " ")
            if len(cells) == width:
                words.append(cells)
            elif words or line[0] != "#":
                reason = f"{len(cells)} columns where the file's first line has {width}; fix the line or remove it"
                fault = fault or RecordError(source, number, reason)
        if fault is not None:
            yield fault
        elif words or marked:
            tags = {TAGS: [cells[-1] for cells in words]} if width > 1 or not words else {}
            yield Row({TOKENS: [cells[0] for cells in words], **tags}, begin)


def read_conllu(binary: BinaryIO, source: str, encoding: str | None = None) -> Iterator[RowItem]:
    """Rows {"tokens": [...], "tags": [...]} of an open CoNLL-U file: its columns FORM and UPOS.

    A document is a sentence; from the first comment "# newdoc" on it is what stands between these. Ranges of words that
    are written as one (1-2) and words that are not written (1.1) are left out. A document has no tags where every UPOS
    is "_".

    Args:
        binary, source, encoding: see `read_conll`.

    Returns:
        As `read_conll`; every line has ten columns, parted by tabs.

    Raises:
        UnreadableText: as `read_conll`.
    """
    for lines in _documents(binary, source, encoding, lambda line: _NEW_DOCUMENT.match(line) is not None):
        if isinstance(lines, Waiting):
            yield lines
            continue
        words: list[list[str]] = []
        fault: RecordError | None = None
        for number, line in lines:
            if isinstance(line, RecordError):
                fault = fault or line
            elif line[0] != "#":
                cells = line.split("\t")
                if len(cells) != _CONLLU_COLUMNS:
                    reason = f"{len(cells)} columns where CoNLL-U has 10, parted by tabs; fix the line or remove it"
                    fault = fault or RecordError(source, number, reason)
                elif not _RANGE_OR_EMPTY.fullmatch(cells[0]):
                    words.append(cells)
        begin, first = lines[0]
        if fault is not None:
            yield fault
        elif words or (isinstance(first, str) and _NEW_DOCUMENT.match(first)):
            tags = [cells[3] for cells in words]
            blind = bool(words) and all(tag == "_" for tag in tags)
            yield Row({TOKENS: [cells[1] for cells in words], **({} if blind else {TAGS: tags})}, begin)


def _cells(line: str, separator: str) -> list[str]:
    """The columns of a line; several blanks part them as one does."""
    return line.split("\t") if separator == "\t" else re.split("[ \t]+", line)


def _documents(
    binary: BinaryIO, source: str, encoding: str | None, begins: Callable[[str], bool]
) -> Iterator[Lines | Waiting]:
    """The lines of each document, numbered and not blank; a line that cannot be decoded is a `RecordError`.

    Args:
        binary, source, encoding: see `read_conll`.
        begins: whether a line begins a document; from the first such line on, a blank line does not.
    """
    decoder = Decoder(encoding)
    lines: Lines = []
    marked, before = False, 0
    for item in read_lines(binary, decoder):
        if isinstance(item, Waiting):
            yield item
            continue
        number, raw = item
        line: str | RecordError
        try:
            line = decoder.of_lines.decode(raw)
        except UnreadableText as error:
            line = RecordError(source, number, str(error))
        if not line:  # a byte order mark alone
            continue
        mark = isinstance(line, str) and begins(line)
        if lines and (mark or (number > before + 1 and not marked)):
            yield lines
            lines = []
        lines.append((number, line))
        marked, before = marked or mark, number
    if lines:
        yield lines
