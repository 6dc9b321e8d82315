"""Rows in memory are read as those of files are."""

import subprocess
import sys
from pathlib import Path

import datasets
import numpy as np
import pandas
import pyarrow
import pytest

from nysformer.data.documents import load_documents
from nysformer.data.memory import Data
from nysformer.data.reader import ReadOptions, read_records
from nysformer.data.reading import Column, Layout
from nysformer.data.records import Record, RecordError
from nysformer.data.values import text_list
from nysformer.errors import NysformerError

ROWS = [{"text": "one", "label": "x", "n": 1}, {"text": "two", "label": "y", "n": 2}]
MADE = [Record("one", "document", 1, "x"), Record("two", "document", 2, "y")]
FRAME = pandas.DataFrame(ROWS)
DATASET = datasets.Dataset.from_list(ROWS)
NAMED = DATASET.class_encode_column("label")


@pytest.mark.parametrize(
    "data",
    [
        ROWS,
        tuple(ROWS),
        (row for row in ROWS),
        FRAME,
        FRAME.set_index("n"),
        FRAME.astype({"text": "string", "label": "category"}),
        DATASET,
        NAMED,
        NAMED.with_format("torch"),
        DATASET.to_iterable_dataset(),
        NAMED.to_iterable_dataset(),
        datasets.IterableDataset.from_generator(lambda: iter(ROWS)),
    ],
)
def test_every_kind_gives_the_same_records(data: Data) -> None:
    assert list(load_documents(data, labelled=True)) == MADE


def test_other_columns_come_along_as_plain_values() -> None:
    frame = FRAME.assign(when=pandas.Timestamp("2024-02-29"), share=[0.5, np.nan], gone=pandas.NA, tags=[["a"], None])
    first, second = read_records(frame, labelled=True)
    assert isinstance(first, Record)
    assert isinstance(second, Record)
    assert str(first.columns["when"]) == "2024-02-29 00:00:00"
    assert [(r.columns["share"], r.columns["gone"]) for r in (first, second)] == [(0.5, None), (None, None)]
    assert [r.columns["tags"] for r in (first, second)] == [["a"], None]


TAGGED = (Layout(Column("tokens", "words", nested=True), Column("tags", "tags", parse=text_list, nested=True)),)


def test_arrays_are_lists_and_numbers_of_labels_their_names() -> None:
    rows = [{"tokens": ["a", "b"], "tags": ["O", "B-X"]}]
    features = datasets.Features(
        {
            "tokens": datasets.List(datasets.Value("string")),
            "tags": datasets.List(datasets.ClassLabel(names=["O", "B-X"])),
        }
    )
    expected = [Record("a b", "document", 1, ("O", "B-X"), words=("a", "b"))]
    dataset = datasets.Dataset.from_list(rows, features=features)
    for data in (rows, dataset, dataset.with_format("numpy"), dataset.to_iterable_dataset()):
        assert list(load_documents(data, layouts=TAGGED, labelled=True)) == expected
    frame = pandas.DataFrame({"tokens": [np.array(["a", "b"])], "tags": [np.array(["O", "B-X"], dtype=object)]})
    assert list(load_documents(frame, layouts=TAGGED, labelled=True)) == expected
    cells = pandas.DataFrame({"tokens": ['["a", "b"]'], "tags": ['["O", "B-X"]']})
    assert list(load_documents(cells, layouts=TAGGED, labelled=True)) == expected


@pytest.mark.parametrize("missing", [None, float("nan"), np.nan, pandas.NA, pandas.NaT, np.float32("nan")])
def test_missing_values_of_every_kind(missing: object) -> None:
    (error,) = read_records([{"text": missing, "label": "x"}], labelled=True)
    assert error == RecordError("document", 1, "the document is empty (column 'text' is null)")
    (error,) = read_records([{"text": "a", "label": missing}], labelled=True)
    assert error == RecordError("document", 1, "the document has no label")
    (record,) = read_records([{"text": "a", "g": missing}], ReadOptions(group_column="g"), labelled=False)
    assert isinstance(record, Record)
    assert record.group is None


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ([], "no documents: no source is given"),
        (iter(()), "no documents: no source is given"),
        (FRAME[:0], "document: the table holds no document"),
        (DATASET.select([]), "document: the table holds no document"),
        (None, "the documents are of type null; give files and folders, or rows"),
        (3, "the documents are of type int; give files"),
        (b"a.csv", "the documents are of type bytes; give files"),
        ({"text": "a", "label": "x"}, "the documents are one mapping; put it into a list"),
        ({"text": ["a"], "label": ["x"]}, "one mapping; give a list with a mapping per row"),
        (datasets.DatasetDict(train=DATASET, test=DATASET), r"a DatasetDict of train, test; give one .*\['train'\]"),
        ({"train": FRAME, "test": FRAME}, r"a dict of train, test; give one of them, such as \['train'\]"),
        (pyarrow.table({"text": ["a"]}), "a table of type Table, which is not read; give a list of mappings"),
        ([ROWS[0], "a.csv"], "item 2 of the documents is of type str, among rows; give files or rows, not both"),
        (["a.csv", ROWS[0]], "item 2 of the documents is of type dict, among names of files; give files or rows"),
        ([3], "item 1 of the documents is of type int; give names of files and folders, or rows"),
        ([ROWS[0], 3], "document:2: of type int, not a mapping of columns to values; fix or remove it"),
        ([ROWS[0], None], "document:2: of type null, not a mapping"),
        ([FRAME, FRAME], "item 1 of the documents is of type DataFrame; give"),
        (FRAME.rename(columns={"text": "body"}), r"the DataFrame has no column 'text' \(there are: body, label, n\)"),
        (DATASET.remove_columns("label"), r"the Dataset has no column 'label' \(there are: text, n\); name the one"),
        (pandas.concat([FRAME, FRAME], axis=1), "the DataFrame's column 'text' stands twice; rename one"),
        ([{"text": "a", "label": "x"}, {"text": "b"}], r"document:2: no column 'label' \(there are: text\)"),
        ([{}], r"document:1: no column 'text' \(there are: none\)"),
    ],
)
def test_mistakes_are_one_clear_line(data: object, message: str) -> None:
    with pytest.raises(NysformerError, match=message) as caught:
        load_documents(data, labelled=True)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)


def test_lenient_reading_goes_on() -> None:
    first, error, last = read_records([ROWS[0], 3, ROWS[1]], labelled=True)
    assert (first, last) == (MADE[0], Record("two", "document", 3, "y"))
    assert error == RecordError("document", 2, "of type int, not a mapping of columns to values")


def test_reading_is_lazy_and_reads_only_what_is_needed() -> None:
    def rows() -> object:
        yield ROWS[0]
        raise AssertionError

    assert next(read_records(rows(), labelled=True)) == MADE[0]  # type: ignore[arg-type]
    assert list(load_documents(DATASET.add_column("image", [1, 2]), labelled=True)) == MADE


def test_looking_imports_neither_pandas_nor_datasets(tmp_path: Path) -> None:
    code = (
        "import sys; from nysformer.data.reader import read_records; from nysformer.data.given import given_records;"
        "list(read_records([{'text': 'a'}], labelled=False)); list(given_records(['a', {'text': 'a'}]));"
        "assert not {'pandas', 'datasets', 'pyarrow'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=tmp_path)
