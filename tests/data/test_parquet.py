"""Parquet of every column type, whole and damaged."""

import datetime
from decimal import Decimal
from pathlib import Path

import pyarrow
import pytest
from pyarrow import parquet

from nysformer.data.parquet import parquet_columns, read_parquet
from nysformer.data.records import RecordError, Row
from nysformer.errors import NysformerError


def write(path: Path, **columns: object) -> Path:
    parquet.write_table(pyarrow.table(columns), path)
    return path


def test_rows(tmp_path: Path) -> None:
    path = write(tmp_path / "f.parquet", a=[1, 2], b=["x", None])
    assert parquet_columns(path) == ["a", "b"]
    assert list(read_parquet(path)) == [Row({"a": 1, "b": "x"}, 1), Row({"a": 2, "b": None}, 2)]
    assert list(read_parquet(path, ["b", "absent"])) == [Row({"b": "x"}, 1), Row({"b": None}, 2)]


def test_values_are_pythons(tmp_path: Path) -> None:
    columns = {
        "category": pyarrow.array(["x"]).dictionary_encode(),
        "number": [1.5],
        "money": [Decimal("1.00")],
        "bytes": [b"\xff"],
        "day": [datetime.date(2020, 1, 1)],
        "nested": [{"a": [1]}],
    }
    ((row),) = read_parquet(write(tmp_path / "f.parquet", **columns))
    assert isinstance(row, Row)
    assert row.values == {
        "category": "x",
        "number": 1.5,
        "money": Decimal("1.00"),
        "bytes": b"\xff",
        "day": datetime.date(2020, 1, 1),
        "nested": {"a": [1]},
    }


def test_a_string_that_is_not_utf8_comes_as_bytes(tmp_path: Path) -> None:
    wrong = pyarrow.Array.from_buffers(pyarrow.string(), 1, pyarrow.array([b"caf\xe9"]).buffers())
    ((row),) = read_parquet(write(tmp_path / "f.parquet", text=wrong))
    assert isinstance(row, Row)
    assert row.values == {"text": b"caf\xe9"}


def test_a_column_twice(tmp_path: Path) -> None:
    path = tmp_path / "f.parquet"
    parquet.write_table(pyarrow.Table.from_arrays([pyarrow.array(["a"])] * 2, names=["text", "text"]), path)
    with pytest.raises(NysformerError, match="the column 'text' stands twice"):
        parquet_columns(path)


def test_damage_ends_the_reading_there(tmp_path: Path) -> None:
    path = tmp_path / "f.parquet"
    parquet.write_table(pyarrow.table({"a": [str(i) * 9 for i in range(1000)]}), path, use_dictionary=False)
    raw = bytearray(path.read_bytes())
    raw[4:2000] = b"\xff" * 1996  # page header and data; the footer is whole
    path.write_bytes(raw)
    *_, last = read_parquet(path)
    assert isinstance(last, RecordError)
    assert "damaged Parquet" in last.reason
    path.write_bytes(raw[:-20])
    with pytest.raises(NysformerError, match="not a whole Parquet file"):
        parquet_columns(path)
