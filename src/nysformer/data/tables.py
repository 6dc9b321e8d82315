"""Rows written one at a time: JSON Lines, CSV, or Parquet by row groups. Memory holds one row group at most."""

import csv
import datetime
import json
import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args

from nysformer.errors import NysformerError

__all__ = [
    "TABLE_FORMATS",
    "Columns",
    "TableFormat",
    "as_text",
    "check_table_format",
    "plain",
    "row_writer",
    "table_format",
]

TableFormat = Literal["jsonl", "csv", "parquet"]
TABLE_FORMATS: tuple[TableFormat, ...] = get_args(TableFormat)

Columns: TypeAlias = Mapping[str, Literal["text", "whole", "number", "flag"]]
"""Name -> what it holds, in order; any cell may be None."""

ROW_GROUP = 1024
"""Rows per row group of Parquet."""

# Suffixes that promise a format which is not written.
_REFUSED = (".tsv", ".gz", ".bz2", ".xz", ".zst", ".zip", ".xlsx", ".xls", ".arrow", ".feather", ".txt")


def table_format(path: str | Path | None, given: str | None = None) -> TableFormat:
    """The format to write: the one that is given, else by the suffix of `path`, else JSON Lines.

    Raises:
        NysformerError: an unknown format; a suffix that promises another one.

    Example:
        >>> table_format("answers.csv"), table_format("answers"), table_format("answers.dat", "parquet")
        ('csv', 'jsonl', 'parquet')
    """
    if given is not None:
        for known in TABLE_FORMATS:
            if given == known:
                return known
        raise NysformerError(f"format {given!r} is unknown; choose {', '.join(TABLE_FORMATS)}")
    suffix = "" if path is None else Path(path).suffix.lower()
    if suffix == ".csv":
        return "csv"
    if suffix in (".parquet", ".pq"):
        return "parquet"
    if suffix in _REFUSED:
        raise NysformerError(
            f"{path}: {suffix} files are not written; name one that ends in .jsonl, .csv or .parquet, or say which "
            "format is meant"
        )
    return "jsonl"


def check_table_format(form: TableFormat) -> None:
    """Check that the format can be written here.

    Raises:
        NysformerError: Parquet, and pyarrow is not installed.
    """
    if form == "parquet":
        try:
            import pyarrow  # noqa: F401
        except ImportError as error:
            raise NysformerError("writing Parquet needs pyarrow; pip install 'nysformer[train]'") from error


@contextmanager
def row_writer(file: Any, form: TableFormat, columns: Columns) -> Iterator[Callable[[Mapping[str, Any]], None]]:
    """Give a function that writes one row; the file is complete when the block ends.

    Args:
        file: open for text (JSON Lines, CSV) or bytes (Parquet).
        form: see `TableFormat`.
        columns: of CSV and Parquet; a row of JSON Lines may have any.

    Example:
        >>> import sys
        >>> with row_writer(sys.stdout, "csv", {"name": "text", "count": "whole"}) as write:
        ...     write({"name": 'a "quoted", one', "count": 3})
        name,count
        "a ""quoted"", one",3
    """
    if form == "jsonl":
        yield lambda row: print(json.dumps(plain(row), ensure_ascii=False), file=file, flush=True)
    elif form == "csv":
        cells = csv.writer(file, lineterminator="\n")
        cells.writerow(columns)
        file.flush()

        def write(row: Mapping[str, Any]) -> None:
            cells.writerow([_cell(row.get(name)) for name in columns])
            file.flush()

        yield write
    else:
        yield from _parquet(file, columns)


def _parquet(file: Any, columns: Columns) -> Iterator[Callable[[Mapping[str, Any]], None]]:
    import pyarrow as pa
    from pyarrow.parquet import ParquetWriter

    types = {"text": pa.string(), "whole": pa.int64(), "number": pa.float64(), "flag": pa.bool_()}
    schema = pa.schema([(name, types[kind]) for name, kind in columns.items()])
    rows: list[dict[str, Any]] = []
    with ParquetWriter(file, schema) as writer:

        def flush() -> None:
            if rows:
                writer.write_table(pa.Table.from_pylist(rows, schema=schema))
                rows.clear()

        def write(row: Mapping[str, Any]) -> None:
            texts = {name: as_text(row.get(name)) for name, kind in columns.items() if kind == "text"}
            rows.append({**{name: row.get(name) for name in columns}, **texts})
            if len(rows) == ROW_GROUP:
                flush()

        yield write
        flush()


def plain(value: Any) -> Any:
    """What JSON can hold: dates in ISO form, bytes as text, other numbers as text, and null for NaN and infinity.

    Example:
        >>> plain({"day": datetime.date(2024, 2, 29), "share": float("nan"), "raw": b"a"})
        {'day': '2024-02-29', 'share': None, 'raw': 'a'}
    """
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(name): plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(each) for each in value]
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    return str(value)


def as_text(value: Any) -> str | None:
    """A cell of text; what is no text becomes JSON, and what UTF-8 cannot hold an escape."""
    value = plain(value)
    if value is None:
        return None
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text.encode("utf-8", "backslashreplace").decode()


def _cell(value: Any) -> Any:
    return "" if value is None else as_text(value)
