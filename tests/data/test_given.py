import enum
import io
from pathlib import Path

import datasets
import numpy as np
import pandas
import pytest

from nysformer.data.given import given_records
from nysformer.data.reading import Column, Layout, ReadOptions
from nysformer.data.records import Record, RecordError, Waiting
from nysformer.data.values import text_value
from nysformer.errors import NysformerError


class Kind(str, enum.Enum):
    LETTER = "a letter"


@pytest.mark.parametrize(
    "documents",
    [["a", "b"], ("a", "b"), iter("ab"), pandas.Series(["a", "b"]), np.array(["a", "b"]), io.StringIO("a\nb\n")],
)
def test_any_iterable_of_texts(documents: object) -> None:
    records = list(given_records(documents))
    assert [(record.text.strip(), record.source, record.line) for record in records] == [
        ("a", "document", 1),
        ("b", "document", 2),
    ]
    assert all(type(record.text) is str for record in records)


def test_one_text_and_one_record_are_one_document() -> None:
    assert list(given_records("two words")) == [Record("two words", "document", 1)]
    assert list(given_records(Kind.LETTER)) == [Record("a letter", "document", 1)]
    assert list(given_records(Record("a", "f"))) == [Record("a", "f")]


def test_items_of_a_reader_come_through() -> None:
    items = [Record("a", "f", 1), Waiting(), RecordError("f", 2, "damaged")]
    assert list(given_records(items)) == items
    assert list(given_records([Record(" ", "f", 3)])) == [RecordError("f", 3, "the document is empty")]
    (error,) = given_records([Record(None, "f", 4)])
    assert str(error) == "f:4: None, not a text"


@pytest.mark.parametrize(
    ("item", "reason"),
    [
        (None, "None, not a text"),
        (float("nan"), "a missing value (NaN), not a text"),
        (pandas.NA, "of type NAType, not a text"),
        ({"body": "a"}, "no column 'text' (there are: body); name the one with the text"),
        ({"text": None}, "the document is empty (column 'text' is null)"),
        ({"text": ["a"]}, "column 'text' is of type list, not text"),
        ({"text": float("nan")}, "the document is empty (column 'text' is null)"),
        (3, "of type int, not a text"),
        (b"a", "of type bytes, not a text"),
        (["a"], "of type list, not a text"),
        (("a", "b"), "of type tuple, not a text"),
        (pandas.DataFrame({"text": ["a"]}), "of type DataFrame, not a text"),
        (Path("a"), "of type PosixPath, not a text"),
        ("", "the document is empty"),
        (" \n\t\u00a0", "the document is empty"),
        ("a\ud800", "the text is not valid UTF-8 at character 2"),
    ],
)
def test_anything_else_is_an_error_in_its_place(item: object, reason: str) -> None:
    before, found, after = given_records(["x", item, "y"])
    assert found == RecordError("document", 2, reason)
    assert (before.text, after.text, after.line) == ("x", "y", 3)


@pytest.mark.parametrize(
    ("documents", "words"),
    [
        (None, "documents is None; pass texts"),
        (3, "documents is of type int; pass texts"),
        (np.array("a"), "documents is of type ndarray; pass texts"),
        (b"abc", r"documents is of type bytes; pass text, such as \[documents.decode"),
        ({"text": "a"}, r"documents is one mapping; put it into a list"),
        ({"text": ["a"]}, r"documents is one mapping; give a list with a mapping per row"),
        (
            datasets.DatasetDict({"train": datasets.Dataset.from_dict({"text": ["a"]})}),
            r"documents is a DatasetDict of train; give one of them, such as \['train'\]",
        ),
        (
            pandas.DataFrame({"body": ["a"]}),
            r"the DataFrame has no column 'text' \(there are: body\); name the one with the text",
        ),
        (datasets.Dataset.from_dict({"body": ["a"]}), r"the Dataset has no column 'text' \(there are: body\)"),
        (Path("a.txt"), r"of type PosixPath; pass the file's text"),
    ],
)
def test_what_cannot_be_documents_is_refused_at_once(documents: object, words: str) -> None:
    with pytest.raises(NysformerError, match=words):
        given_records(documents)


QUESTIONS = (
    Layout(Column("context", "the document"), others=(Column("question", "the question", parse=text_value),)),
    Layout(Column("words", "the words", nested=True)),
)
ROWS = [
    {"context": "a b", "question": "why?", "id": np.int64(7), "words": None},
    {"context": None, "question": None, "words": np.array(["a", "b"])},
    {"context": "a b", "question": None},
]
MADE = [
    Record("a b", "document", 1, values={"question": "why?"}),
    Record("a b", "document", 2, words=("a", "b")),
    RecordError("document", 3, "the document has no question (column 'question' is null)"),
]


@pytest.mark.parametrize(
    "documents",
    [
        ROWS,
        iter(ROWS),
        pandas.DataFrame(ROWS),
        datasets.Dataset.from_list(ROWS),
        datasets.Dataset.from_list(ROWS).with_format("numpy"),
        datasets.Dataset.from_list(ROWS).to_iterable_dataset(),
    ],
)
def test_rows_are_documents_of_any_layout(documents: object) -> None:
    records = list(given_records(documents, layouts=QUESTIONS))
    assert records == MADE
    assert records[0].columns["id"] == 7
    assert type(records[0].columns["id"]) in (int, float)


def test_what_a_text_or_a_record_lacks_is_named() -> None:
    text, record, whole = given_records(
        ["a b", Record("a b", "f", 1), Record("a b", "f", 2, values={"question": "why?"})], layouts=QUESTIONS[:1]
    )
    assert str(text) == "document:1: a text alone has no 'question'; pass a mapping with the columns instead"
    assert str(record) == "f:1: the record has no 'question'; give it in its values"
    assert isinstance(whole, Record)


def test_columns_can_be_named() -> None:
    options = ReadOptions(columns={"context": "body", "question": "query"})
    (record,) = given_records([{"body": "a b", "query": "why?"}], options, QUESTIONS)
    assert record == MADE[0]


def test_reading_is_lazy() -> None:
    assert next(given_records(letter for letter in ["a", 1 / 1])).text == "a"
