"""Rows of Parquet files."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from nysformer.data.records import RecordError, Row, shown
from nysformer.errors import NysformerError

__all__ = ["parquet_columns", "read_parquet"]

_ROWS = 64


def parquet_columns(path: Path) -> list[str]:
    """The columns of a Parquet file.

    Raises:
        NysformerError: it is no whole Parquet file, a column stands twice, or pyarrow is not installed.
    """
    with _open(path) as file:
        return _names(file, path)


def read_parquet(path: Path, columns: Sequence[str] | None = None) -> Iterator[Row | RecordError]:
    """Rows of a Parquet file.

    Values are Python's: numbers, text, bytes, dates, lists and dictionaries. A string that is not UTF-8 comes as bytes.

    Args:
        path: of the file.
        columns: to read, of those there are; None for all.

    Raises:
        NysformerError: as `parquet_columns`.
    """
    number = 0
    with _open(path) as file:
        from pyarrow import ArrowException

        names = _names(file, path)
        wanted = None if columns is None else [name for name in names if name in columns]
        try:
            for batch in file.iter_batches(batch_size=_ROWS, columns=wanted):
                values = {name: _values(batch.column(place)) for place, name in enumerate(batch.schema.names)}
                for row in range(batch.num_rows):
                    number += 1
                    yield Row({name: column[row] for name, column in values.items()}, number)
        except (ArrowException, OSError) as error:
            reason = str(error).partition("\n")[0]
            yield RecordError(str(path), number + 1, f"damaged Parquet, nothing read from here on: {reason}")


def _values(column: Any) -> list[Any]:
    import pyarrow

    try:
        return column.to_pylist()
    except UnicodeDecodeError:
        return column.cast(pyarrow.large_binary()).to_pylist()
    except (ValueError, OverflowError):  # a time that Python's own types cannot hold, such as one of nanoseconds
        return column.cast(pyarrow.large_string()).to_pylist()


def _names(file: Any, path: Path) -> list[str]:
    names = list(file.schema_arrow.names)
    for name in names:
        if names.count(name) > 1:
            raise NysformerError(f"{shown(path)}: the column {name!r} stands twice; rename one")
    return names


def _open(path: Path) -> Any:
    try:
        from pyarrow import ArrowException
        from pyarrow.parquet import ParquetFile
    except ImportError as error:
        raise NysformerError(f"{shown(path)}: reading Parquet needs pyarrow; pip install 'nysformer[train]'") from error
    if not path.is_file():
        raise NysformerError(f"{shown(path)}: Parquet cannot be read from a pipe; write it to a file")
    try:
        return ParquetFile(path)
    except ArrowException as error:
        reason = str(error).partition("\n")[0]
        raise NysformerError(f"{shown(path)}: not a whole Parquet file ({reason}); write it anew") from error
