import datetime
import io
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas
import pyarrow.parquet
import pytest

from nysformer.data import tables
from nysformer.data.tables import plain, row_writer, table_format
from nysformer.errors import NysformerError

COLUMNS: tables.Columns = {"name": "text", "count": "whole", "share": "number", "cut": "flag"}
ROWS: list[dict[str, Any]] = [
    {"name": 'a "b", c\nd', "count": 3, "share": 0.25, "cut": True},
    {"name": None, "count": None, "share": None, "cut": None},
    {"name": {"x": [1, None]}, "count": 0, "share": 1.0, "cut": False},
]


def written(form: tables.TableFormat) -> io.BytesIO:
    raw = io.BytesIO()
    file = raw if form == "parquet" else io.TextIOWrapper(raw, encoding="utf-8", newline="\n")
    with row_writer(file, form, COLUMNS) as write:
        for row in ROWS:
            write(row)
    content = raw.getvalue()
    return io.BytesIO(content)


def test_json_lines() -> None:
    assert [json.loads(line) for line in written("jsonl")] == ROWS


def test_csv_quotes_what_needs_it() -> None:
    assert written("csv").getvalue().decode() == (
        'name,count,share,cut\n"a ""b"", c\nd",3,0.25,true\n,,,\n"{""x"": [1, null]}",0,1.0,false\n'
    )
    frame = pandas.read_csv(written("csv"))
    assert list(frame["count"]) == pytest.approx([3, float("nan"), 0], nan_ok=True)


@pytest.mark.parametrize("group", [1, 2, 1024])
def test_parquet_is_written_by_row_groups(monkeypatch: pytest.MonkeyPatch, group: int) -> None:
    monkeypatch.setattr(tables, "ROW_GROUP", group)
    file = pyarrow.parquet.ParquetFile(written("parquet"))
    assert file.num_row_groups == -(-3 // group)
    assert file.read().to_pylist() == [ROWS[0], ROWS[1], {**ROWS[2], "name": '{"x": [1, null]}'}]


def test_no_rows_are_a_header() -> None:
    file = io.StringIO()
    with row_writer(file, "csv", COLUMNS):
        pass
    assert file.getvalue() == "name,count,share,cut\n"


def test_values_that_json_lacks() -> None:
    day = datetime.datetime(2024, 2, 29, 12, 30)
    given = {"day": day, "price": Decimal("1.50"), "raw": b"a\xff", "nan": float("nan"), 7: (1, {2})}
    assert plain(given) == {"day": "2024-02-29T12:30:00", "price": "1.50", "raw": "a\\xff", "nan": None, "7": [1, [2]]}


@pytest.mark.parametrize(
    ("path", "given", "form"),
    [
        ("a.csv", None, "csv"),
        ("a.CSV", None, "csv"),
        ("a.parquet", None, "parquet"),
        ("a.jsonl", None, "jsonl"),
        ("a", None, "jsonl"),
        ("a.out", None, "jsonl"),
        (None, None, "jsonl"),
        ("a.csv", "jsonl", "jsonl"),
        ("a.tsv", "csv", "csv"),
    ],
)
def test_formats(path: str | None, given: str | None, form: str) -> None:
    assert table_format(path, given) == form


@pytest.mark.parametrize("name", ["a.tsv", "a.jsonl.gz", "a.xlsx"])
def test_a_suffix_that_promises_another_format(name: str) -> None:
    with pytest.raises(NysformerError, match="files are not written"):
        table_format(Path(name))
    with pytest.raises(NysformerError, match="format 'xml' is unknown"):
        table_format(name, "xml")
