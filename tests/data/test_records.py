import io
from pathlib import Path

import pyarrow
import pytest
from pyarrow import parquet

from nysformer.data.records import (
    RecordError,
    Row,
    parquet_columns,
    read_json,
    read_lines,
    read_parquet,
    read_separated,
    separated_columns,
)
from nysformer.errors import NysformerError


def test_places_read_as_file_and_line() -> None:
    assert str(RecordError("a.csv", 3, "malformed row")) == "a.csv:3: malformed row"
    assert str(RecordError("a.txt", None, "the document is empty")) == "a.txt: the document is empty"


def test_lines_keep_their_numbers_across_blank_ones() -> None:
    assert list(read_lines(io.BytesIO(b"\n a \r\n\n\nb"))) == [(2, b"a"), (5, b"b")]
    assert list(read_lines(io.BytesIO(b"x" * 200_000))) == [(1, b"x" * 200_000)]
    assert list(read_lines(io.BytesIO(b""))) == []


def test_json_rows_keep_all_columns() -> None:
    rows = list(read_json(io.BytesIO(b'{"text": "a", "n": [1]}\n[1]\n'), "f"))
    assert rows == [Row({"text": "a", "n": [1]}, 1), RecordError("f", 2, "a JSON list where an object should stand")]


def test_separated_rows() -> None:
    assert separated_columns(io.BytesIO(b"a,b\n1,2\n"), "f", "csv") == ["a", "b"]
    assert separated_columns(io.BytesIO(b""), "f", "csv") == []
    assert list(read_separated(io.BytesIO(b"a\tb\n1\t2,3\n"), "f", "tsv")) == [Row({"a": "1", "b": "2,3"}, 2)]
    with pytest.raises(NysformerError, match="f:1: malformed header"):
        separated_columns(io.BytesIO(b'"a" b,c\n'), "f", "csv")


def test_parquet_rows(tmp_path: Path) -> None:
    path = tmp_path / "f.parquet"
    parquet.write_table(pyarrow.table({"a": [1, 2], "b": ["x", None]}), path)
    assert parquet_columns(path) == ["a", "b"]
    assert list(read_parquet(path)) == [Row({"a": 1, "b": "x"}, 1), Row({"a": 2, "b": None}, 2)]
    assert list(read_parquet(path, ["b"])) == [Row({"b": "x"}, 1), Row({"b": None}, 2)]


def test_damaged_parquet_ends_at_the_damage(tmp_path: Path) -> None:
    path = tmp_path / "f.parquet"
    parquet.write_table(pyarrow.table({"a": [str(i) * 9 for i in range(1000)]}), path, use_dictionary=False)
    raw = bytearray(path.read_bytes())
    raw[4:2000] = b"\xff" * 1996  # page header and data; the footer is whole
    path.write_bytes(raw)
    *_, last = read_parquet(path)
    assert isinstance(last, RecordError)
    assert "damaged Parquet" in last.reason
