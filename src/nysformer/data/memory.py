"""Rows that a caller has in memory: mappings, a pandas DataFrame, or a dataset of Hugging Face's `datasets`."""

import os
import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Any, TypeAlias

from nysformer.data.records import RecordError, Row
from nysformer.data.values import native, type_of
from nysformer.errors import NysformerError

__all__ = ["GIVEN", "Data", "Rows", "Table", "mapping_hint", "rows_in_memory", "table_of"]

Data: TypeAlias = str | Path | Iterable[str | Path] | Iterable[Mapping[str, Any]]
"""Files and folders, one alone need not be in a list; or rows: an iterable of mappings, a pandas DataFrame, a
`datasets.Dataset` or a `datasets.IterableDataset`."""

GIVEN = "document"
"""The source of a document in memory; its line is its number, from 1."""

Rows: TypeAlias = Iterator[Row | RecordError]


@dataclass(frozen=True, slots=True)
class Table:
    """Rows with the same columns.

    Attributes:
        kind: what they came as, such as "DataFrame".
        columns: their names; None where they are not known before a row is read.
        read: gives the rows; of all columns, or of those that are named.
    """

    kind: str
    columns: list[str] | None
    read: Callable[[Collection[str] | None], Rows]


Given: TypeAlias = Table | Rows | list[str | Path]


def rows_in_memory(data: object) -> Given:
    """Tell rows from names of files.

    Returns:
        A table, rows, or the names of files and folders.

    Raises:
        NysformerError: it is neither, or both are in one list.

    Example:
        >>> rows_in_memory(["a.jsonl", "b.csv"])
        ['a.jsonl', 'b.csv']
        >>> next(rows_in_memory([{"text": "one"}]))
        Row(values={'text': 'one'}, line=1, warning=None)
    """
    if isinstance(data, str | os.PathLike):
        return [data]  # type: ignore[list-item]
    if table := table_of(data):
        return table
    if isinstance(data, Mapping):
        raise NysformerError(f"the documents are {mapping_hint(data)}")
    if isinstance(data, bytes | bytearray | memoryview) or not isinstance(data, Iterable):
        raise NysformerError(
            f"the documents are of type {type_of(data)}; give files and folders, or rows: a list of mappings, a "
            "DataFrame or a Dataset"
        )
    items = iter(data)
    start = list(islice(items, 1))
    if start and isinstance(start[0], Mapping):
        return _of_mappings(chain(start, items))
    return [_name(item, number) for number, item in enumerate(chain(start, items), start=1)]


def _name(item: object, number: int) -> str | Path:
    """A file's name in a list of such."""
    if isinstance(item, Mapping) and number > 1:
        raise NysformerError(
            f"item {number} of the documents is of type {type_of(item)}, among names of files; give files or rows, "
            "not both"
        )
    if not isinstance(item, str | os.PathLike):
        raise NysformerError(
            f"item {number} of the documents is of type {type_of(item)}; give names of files and folders, or rows: "
            "mappings of columns to values"
        )
    return item  # type: ignore[return-value]


def mapping_hint(data: Mapping[Any, Any]) -> str:
    """What to do with a mapping that stands where rows should.

    Example:
        >>> mapping_hint({"text": "one"})
        'one mapping; put it into a list'
    """
    if all(table_of(value) is not None for value in data.values()) and data:
        return f"a {type_of(data)} of {', '.join(map(str, data))}; give one of them, such as [{next(iter(data))!r}]"
    if any(isinstance(value, list) for value in data.values()):
        return "one mapping; give a list with a mapping per row, or make a DataFrame of it"
    return "one mapping; put it into a list"


def table_of(data: object) -> Table | None:
    """A DataFrame or a dataset as a table; None for anything else.

    Raises:
        NysformerError: a column stands twice; a table of another library.
    """
    pandas, datasets = (sys.modules.get(name) for name in ("pandas", "datasets"))  # neither is imported for this
    if isinstance(data, getattr(pandas, "DataFrame", ())):
        return _of_frame(data)
    kinds = tuple(getattr(datasets, name) for name in ("Dataset", "IterableDataset") if hasattr(datasets, name))
    if isinstance(data, kinds):
        return _of_dataset(data)
    if hasattr(data, "column_names") or (hasattr(data, "columns") and hasattr(data, "dtypes")):
        if isinstance(data, Mapping):  # splits of a dataset
            return None
        raise NysformerError(
            f"the documents are a table of type {type_of(data)}, which is not read; give a list of mappings, a pandas "
            "DataFrame or a datasets.Dataset"
        )
    return None


def _of_mappings(items: Iterable[object]) -> Rows:
    for number, item in enumerate(items, start=1):
        if isinstance(item, Mapping):
            yield Row(native(item), number)
        elif isinstance(item, str | os.PathLike):
            raise NysformerError(
                f"item {number} of the documents is of type {type_of(item)}, among rows; give files or rows, not both"
            )
        else:
            yield RecordError(GIVEN, number, f"of type {type_of(item)}, not a mapping of columns to values")


def _of_frame(frame: Any) -> Table:
    names = [str(name) for name in frame.columns]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise NysformerError(f"the DataFrame's column {twice!r} stands twice; rename one")

    def read(wanted: Collection[str] | None) -> Rows:
        places = {name: place for place, name in enumerate(names) if wanted is None or name in wanted}
        cells = zip(*(frame.iloc[:, place] for place in places.values()), strict=True) if places else [()] * len(frame)
        for number, row in enumerate(cells, start=1):
            yield Row(native(dict(zip(places, row, strict=True))), number)

    return Table("DataFrame", names, read)


def _of_dataset(dataset: Any) -> Table:
    names = None if dataset.column_names is None else list(dataset.column_names)
    names_of = {name: _label_names(feature) for name, feature in (dataset.features or {}).items()}

    def read(wanted: Collection[str] | None) -> Rows:
        plain = dataset.with_format(None)
        if wanted is not None and names is not None:
            plain = plain.select_columns([name for name in names if name in wanted])
        for number, row in enumerate(plain, start=1):
            values = native(row)
            for name, value in values.items():
                if (rename := names_of.get(name)) is not None:
                    values[name] = rename(value)
            yield Row(values, number)

    return Table(type(dataset).__name__, names, read)


def _label_names(feature: Any) -> Callable[[Any], Any] | None:
    """What turns the numbers of labels in a dataset's column into their names; None where there are none."""
    if type(feature).__name__ == "ClassLabel":
        labels = list(feature.names)
        return lambda value: labels[value] if isinstance(value, int) and 0 <= value < len(labels) else None
    if isinstance(feature, Mapping):
        inside = {name: rename for name, each in feature.items() if (rename := _label_names(each)) is not None}
        if not inside:
            return None
        return lambda value: (
            {name: inside[name](item) if name in inside else item for name, item in value.items()}
            if isinstance(value, Mapping)
            else value
        )
    item = feature[0] if isinstance(feature, list) and feature else getattr(feature, "feature", None)
    rename = None if item is None else _label_names(item)
    if rename is None:
        return None
    return lambda value: [rename(each) for each in value] if isinstance(value, list) else value
