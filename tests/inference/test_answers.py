from typing import Any

import pytest

from nysformer.data.records import Record, RecordError, Waiting
from nysformer.errors import NysformerError
from nysformer.inference.answers import AnswerRows, keep_columns, kept_names
from nysformer.tasks.sequence_classification import Prediction, SequenceClassification


def prediction(**changes: Any) -> Prediction:
    usual: dict[str, Any] = {
        "source": "f.csv",
        "line": 2,
        "label": "ham",
        "labels": None,
        "value": None,
        "probabilities": {"eggs": 0.2, "ham": 0.7, "spam": 0.1},
        "length": 9,
        "truncated": False,
        "columns": {"id": 7, "label": "spam", "title": "t"},
    }
    return Prediction(**{**usual, **changes})


def task(*labels: str, problem_type: str = "single_label_classification") -> SequenceClassification:
    return SequenceClassification(labels or ("eggs", "ham", "spam"), problem_type)


SINGLE = task()


def test_one_column_per_label() -> None:
    rows = AnswerRows(SINGLE, keep=("id", "label"))
    assert list(rows.flat(prediction()).items()) == [
        ("source", "f.csv"),
        ("line", 2),
        ("id", 7),
        ("input_label", "spam"),
        ("label", "ham"),
        ("probability_eggs", 0.2),
        ("probability_ham", 0.7),
        ("probability_spam", 0.1),
        ("length", 9),
        ("truncated", False),
        ("unknown", 0.0),
    ]
    assert list(rows.columns) == list(rows.flat(prediction()))


def test_one_column_per_rank() -> None:
    rows = AnswerRows(SINGLE, top_k=2)
    flat = rows.flat(prediction())
    assert [flat[name] for name in ("label_1", "probability_1", "label_2", "probability_2")] == [
        "ham",
        0.7,
        "eggs",
        0.2,
    ]
    assert "label_4" not in AnswerRows(SINGLE, top_k=9).columns
    assert rows.nested(prediction())["probabilities"] == {"ham": 0.7, "eggs": 0.2}


def test_the_nested_row_has_the_columns_after_the_place() -> None:
    row = AnswerRows(SINGLE, keep=("title", "id")).nested(prediction())
    assert list(row)[:5] == ["source", "line", "title", "id", "label"]


def test_other_problem_types() -> None:
    several = AnswerRows(task(problem_type="multi_label_classification"))
    assert several.flat(prediction(label=None, labels=("ham", "eggs")))["labels"] == ["ham", "eggs"]
    one = AnswerRows(task("score", problem_type="regression"))
    assert one.flat(prediction(label=None, probabilities=None, value=0.5))["value"] == 0.5
    two = AnswerRows(task("x", "y", problem_type="regression"))
    flat = two.flat(prediction(label=None, probabilities=None, value={"x": 1.0, "y": 2.0}))
    assert (flat["value_x"], flat["value_y"]) == (1.0, 2.0)
    with pytest.raises(NysformerError, match="regression has no probabilities"):
        AnswerRows(task("score", problem_type="regression"), top_k=1)
    with pytest.raises(NysformerError, match="top_k is 0"):
        AnswerRows(SINGLE, top_k=0)


def test_two_columns_of_one_name_are_refused() -> None:
    with pytest.raises(NysformerError, match="two columns would be named 'input_label'"):
        AnswerRows(SINGLE, keep=("label", "input_label"))
    assert "input_probability_ham" in AnswerRows(SINGLE, keep=("probability_ham",)).columns


def test_names_to_keep() -> None:
    assert kept_names(["id, title", "id"]) == ("id", "title")
    assert kept_names([]) == ()
    for wrong in ("", "id,", ",", " "):
        with pytest.raises(NysformerError, match="an empty name"):
            kept_names([wrong])


def test_a_document_without_the_column_is_an_error_in_its_place() -> None:
    items = [Record("a", "f", 1, columns={"id": 1}), Waiting(), Record("b", "f", 2, columns={"no": 1})]
    first, waiting, error = keep_columns(items, ("id", "text"), "text")
    assert first.columns == {"id": 1, "text": "a"}
    assert isinstance(waiting, Waiting)
    assert error == RecordError("f", 2, "no column 'id' to keep (there are: no)")
