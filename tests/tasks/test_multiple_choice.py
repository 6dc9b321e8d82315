from collections.abc import Callable
from typing import Any

import pytest

from nysformer.data.records import Item, Record, RecordError
from nysformer.errors import NysformerError
from nysformer.tasks.multiple_choice import MultipleChoice

Read = Callable[..., Item]
Encode = Callable[..., Any]
Learn = Callable[..., tuple[list[Any], dict[str, Any]]]


def choose(context: str, choices: list[str], label: object = None, line: int = 1) -> Record:
    return Record(context, "c.jsonl", line, label, values={"choices": tuple(choices)})


RECORDS = [choose("x y", ["a", "b", "c"], 2), choose("z q", ["b", "c", "a"], 0), choose("y y y", ["c", "b", "a"], 0)]


def test_the_right_choice_is_learnt(learn: Learn) -> None:
    answers, metrics = learn(MultipleChoice.from_records(RECORDS, {}), RECORDS, steps=150)
    assert [answer.choice for answer in answers] == ["c", "b", "c"]
    assert metrics["accuracy"] == 1.0
    assert metrics["loss"] < 0.5
    assert sum(answers[0].probabilities) == pytest.approx(1.0, abs=1e-5)


def test_records_of_different_numbers_of_choices_share_a_batch(encode: Encode) -> None:
    task = MultipleChoice()
    records = [choose("x y", ["a", "b", "c"]), choose("z", ["a b c", "b"])]
    encodings = [encode(task, record, False) for record in records]
    examples = [example for encoding in encodings if encoding for example in encoding.examples]
    batch = task.collate(examples, 0)
    assert batch["input_ids"].shape == (2, 3, 7)
    assert batch["attention_mask"].sum(dim=-1).tolist() == [[6, 6, 6], [7, 5, 0]]


def test_training_needs_one_number_of_choices() -> None:
    with pytest.raises(NysformerError, match=r"c\.jsonl:2: 2 choices, but c\.jsonl:1 has 3"):
        MultipleChoice.from_records([RECORDS[0], choose("z", ["a", "b"], 0, line=2)], {})


def test_a_label_past_the_choices_is_refused(encode: Encode) -> None:
    for record in (choose("x", ["a", "b"], 2), choose("x", ["a", "b"])):
        with pytest.raises(NysformerError, match=r"c\.jsonl:1.*is not the index of a choice, 0 to 1"):
            encode(MultipleChoice(), record, True)


@pytest.mark.parametrize("label", [1, 1.0, "1", " 1 "])
def test_a_row_becomes_a_record(read: Read, label: object) -> None:
    record = read(MultipleChoice, {"context": "x y", "choices": ["a", "b"], "label": label})
    assert isinstance(record, Record)
    assert (record.text, record.values, record.label) == ("x y", {"choices": ("a", "b")}, 1)
    unlabelled = read(MultipleChoice, {"context": "x y", "choices": ["a", "b"]}, labelled=False)
    assert isinstance(unlabelled, Record)
    assert unlabelled.label is None


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({}, "no column 'context' (there are: none)"),
        (
            {"context": "x", "label": 0},
            "no column 'choices' (there are: context, label); name the one with the choices",
        ),
        ({"context": "x", "choices": ["a", "b"]}, "no column 'label' (there are: context, choices)"),
        ({"context": ["x"], "choices": ["a", "b"], "label": 0}, "column 'context' is of type list, not text"),
        ({"context": " ", "choices": ["a", "b"], "label": 0}, "the document is empty"),
        (
            {"context": "x", "choices": ["a"], "label": 0},
            "column 'choices': a list of length 1; give two or more texts",
        ),
        ({"context": "x", "choices": ["a", " "], "label": 0}, "column 'choices': item 2 is empty"),
        ({"context": "x", "choices": ["a", 1], "label": 0}, "column 'choices': item 2 is of type int, not text"),
        ({"context": "x", "choices": "a", "label": 0}, "column 'choices': of type str, not a list of texts"),
        ({"context": "x", "choices": None, "label": 0}, "the document has no choices (column 'choices' is null)"),
        ({"context": "x", "choices": ["a", "b"], "label": "first"}, "the label 'first' is not the index of a choice"),
        ({"context": "x", "choices": ["a", "b"], "label": -1}, "the label -1 is not the index of a choice"),
        ({"context": "x", "choices": ["a", "b"], "label": True}, "the label True is not the index of a choice"),
        ({"context": "x", "choices": ["a", "b"], "label": None}, "the document has no label"),
    ],
)
def test_unusable_rows_are_named(read: Read, row: dict[str, object], message: str) -> None:
    error = read(MultipleChoice, row)
    assert isinstance(error, RecordError)
    assert error.line == 7
    assert message in error.reason
