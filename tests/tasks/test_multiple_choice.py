from collections.abc import Callable
from typing import Any

import pytest

from nysformer.data.records import Record
from nysformer.errors import NysformerError
from nysformer.tasks.multiple_choice import MultipleChoice

Encode = Callable[..., Any]
Learn = Callable[..., tuple[list[Any], dict[str, Any]]]


def choose(context: str, choices: list[str], label: object = None, line: int = 1) -> Record:
    columns: dict[str, object] = {"context": context, "choices": choices}
    return Record(context, "c.jsonl", line, None if label is None else str(label), columns)


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


@pytest.mark.parametrize(
    ("record", "message"),
    [
        (choose("x", ["a"], 0), "two or more texts"),
        (choose("x", ["a", "b"], 2), "not the index"),
        (choose("x", ["a", "b"], "first"), "not the index"),
        (choose("x", ["a", "b"]), "not the index"),
    ],
)
def test_unusable_records_are_named(encode: Encode, record: Record, message: str) -> None:
    with pytest.raises(NysformerError, match=rf"c\.jsonl:1.*{message}"):
        encode(MultipleChoice(), record, True)
