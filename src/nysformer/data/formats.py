"""What a file holds, by its suffix: the one table that training and prediction both read."""

from pathlib import Path
from typing import Literal

__all__ = ["SUFFIXES", "TEXT_SUFFIXES", "Format", "format_of"]

Format = Literal["jsonl", "csv", "tsv", "parquet", "text", "lines"]
"""jsonl: a JSON object a line (or one JSON array of objects); csv, tsv: a header, then a document a row; parquet: a
document a row; text: the whole file is one document; lines: a document a line."""

SUFFIXES: dict[str, Format] = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
    ".csv": "csv",
    ".tsv": "tsv",
    ".parquet": "parquet",
    ".txt": "text",
    ".text": "text",
    ".md": "text",
    ".rst": "text",
}

TEXT_SUFFIXES = tuple(suffix for suffix, name in SUFFIXES.items() if name == "text")
"""What a folder of documents is searched for."""


def format_of(path: str | Path) -> Format | None:
    """The format a file's suffix names, any case, `.gz` aside; None for an unknown suffix.

    Example:
        >>> format_of("reports/May.JSONL.gz"), format_of("notes.txt"), format_of("LICENSE")
        ('jsonl', 'text', None)
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix == ".gz":
        suffix = Path(path.stem).suffix.lower()
    return SUFFIXES.get(suffix)
