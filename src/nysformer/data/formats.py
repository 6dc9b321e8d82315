"""The format of a file by its suffix, and kinds of file that hold no text by their first bytes."""

from pathlib import Path
from typing import Literal, get_args

__all__ = ["FORMATS", "SUFFIXES", "Format", "binary_kind", "format_of", "suffix_of"]

Format = Literal["jsonl", "csv", "tsv", "parquet", "text", "html", "lines", "conll", "conllu"]
"""jsonl: one JSON object per line, or one JSON array of objects; csv, tsv: a header, then one document per row;
parquet: one document per row; text, html: the whole file is one document; lines: one document per line; conll, conllu:
one word per line (see `nysformer.data.conll`)."""

FORMATS: tuple[Format, ...] = get_args(Format)

SUFFIXES: dict[str, Format] = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
    ".csv": "csv",
    ".tsv": "tsv",
    ".parquet": "parquet",
    ".conll": "conll",
    ".iob": "conll",
    ".iob2": "conll",
    ".bio": "conll",
    ".conllu": "conllu",
    ".txt": "text",
    ".text": "text",
    ".md": "text",
    ".rst": "text",
    ".html": "html",
    ".htm": "html",
}

# (first bytes, what such a file is, what to do about it)
_EXTRACT, _UNPACK = "extract its text first", "unpack it first"
_MAGIC: tuple[tuple[bytes, str, str], ...] = (
    (b"%PDF-", "a PDF", _EXTRACT),
    (b"{\\rtf", "an RTF document", _EXTRACT),
    (b"%!PS", "a PostScript file", _EXTRACT),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an old Microsoft Office file (DOC, XLS, PPT)", _EXTRACT),
    (b"PAR1", "a Parquet file", "name it .parquet"),
    (b"ARROW1\0\0", "an Arrow file", "write it as Parquet"),
    (b"SQLite format 3\0", "an SQLite database", "export its rows as CSV or JSON Lines"),
    (b"\x1f\x8b", "gzip data", "unpack it, or name it .gz"),
    (b"BZh", "bzip2 data", _UNPACK),
    (b"\xfd7zXZ\0", "xz data", _UNPACK),
    (b"\x28\xb5\x2f\xfd", "Zstandard data", _UNPACK),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive", _UNPACK),
    (b"Rar!\x1a\x07", "a RAR archive", _UNPACK),
    (b"\x89PNG\r\n\x1a\n", "a PNG image", _EXTRACT),
    (b"\xff\xd8\xff", "a JPEG image", _EXTRACT),
    (b"GIF87a", "a GIF image", _EXTRACT),
    (b"GIF89a", "a GIF image", _EXTRACT),
    (b"II*\0", "a TIFF image", _EXTRACT),
    (b"MM\0*", "a TIFF image", _EXTRACT),
    (b"\x7fELF", "an ELF program", "leave it out"),
    (b"\x80\x02", "a Python pickle", "write its documents as JSON Lines"),
    (b"\x80\x03", "a Python pickle", "write its documents as JSON Lines"),
    (b"\x80\x04", "a Python pickle", "write its documents as JSON Lines"),
    (b"\x80\x05", "a Python pickle", "write its documents as JSON Lines"),
)
# Members that name the kind of a ZIP archive; they stand near its beginning.
_ZIP_MEMBERS: tuple[tuple[bytes, str], ...] = (
    (b"word/", "a DOCX document"),
    (b"xl/", "an XLSX workbook"),
    (b"ppt/", "a PPTX presentation"),
    (b"application/vnd.oasis.opendocument.text", "an ODT document"),
    (b"application/vnd.oasis.opendocument.spreadsheet", "an ODS workbook"),
    (b"application/epub+zip", "an EPUB book"),
    (b"[Content_Types].xml", "an Office document (DOCX, XLSX, PPTX)"),
)
_ZIP_STARTS = (b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08")
_TAR_MAGIC, _TAR_OFFSET = b"ustar", 257


def format_of(path: str | Path) -> Format | None:
    """The format that a file's suffix names, in any case and without `.gz`; None for an unknown suffix.

    Example:
        >>> format_of("reports/May.JSONL.gz"), format_of("notes.txt"), format_of("LICENSE")
        ('jsonl', 'text', None)
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix == ".gz":
        suffix = Path(path.stem).suffix.lower()
    return SUFFIXES.get(suffix)


def suffix_of(path: str | Path) -> str:
    """The suffix as a summary names it, in lower case, with what stands before `.gz`.

    Example:
        >>> suffix_of("a.PNG"), suffix_of("a.tar.gz"), suffix_of("Makefile")
        ('.png', '.tar.gz', 'without a suffix')
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix == ".gz":
        suffix = Path(path.stem).suffix.lower() + suffix
    return suffix or "without a suffix"


def binary_kind(head: bytes) -> str | None:
    """Name the kind of a file that is not text, by its first bytes, and say what to do; None for what may be text.

    Args:
        head: the first bytes of the file, a few thousand where it has as many.

    Example:
        >>> binary_kind(b"%PDF-1.7 ..."), binary_kind(b"plain text")
        ('a PDF; extract its text first', None)
    """
    if head.startswith(_ZIP_STARTS):
        for member, name in _ZIP_MEMBERS:
            if member in head:
                return f"{name}; {_EXTRACT}"
        return f"a ZIP archive; {_UNPACK}"
    for magic, name, remedy in _MAGIC:
        if head.startswith(magic):
            return f"{name}; {remedy}"
    if head[_TAR_OFFSET:].startswith(_TAR_MAGIC):
        return f"a tar archive; {_UNPACK}"
    return None
