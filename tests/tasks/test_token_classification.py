from collections.abc import Callable
from typing import Any

import pytest

from nysformer.data.records import Record
from nysformer.errors import NysformerError
from nysformer.tasks.reading import Reading
from nysformer.tasks.token_classification import TokenClassification

Encode = Callable[..., Any]
Learn = Callable[..., tuple[list[Any], dict[str, Any]]]


def with_spans(*documents: tuple[str, list[tuple[int, int, str]]]) -> list[Record]:
    return [
        Record(
            text,
            "a.jsonl",
            line,
            columns={"spans": [{"start": start, "end": end, "label": label} for start, end, label in spans]},
        )
        for line, (text, spans) in enumerate(documents, start=1)
    ]


NAMES = with_spans(
    ("xy said zu to q", [(0, 2, "NAME"), (8, 10, "NAME")]),
    ("we saw xz there", [(7, 9, "NAME")]),
    ("nobody was here", []),
)


def test_spans_of_characters_are_learnt_and_come_back_as_slices(learn: Learn) -> None:
    task = TokenClassification.from_records(NAMES, {})
    assert task.tags == ["B-NAME", "I-NAME", "O"]
    answers, metrics = learn(task, NAMES)
    assert [[(e.text, e.start, e.end) for e in answer.entities] for answer in answers] == [
        [("xy", 0, 2), ("zu", 8, 10)],
        [("xz", 7, 9)],
        [],
    ]
    assert all(e.text == r.text[e.start : e.end] for r, a in zip(NAMES, answers, strict=True) for e in a.entities)
    assert metrics["f1"] == metrics["precision"] == metrics["recall"] == metrics["accuracy"] == 1.0
    assert metrics["per_class"]["NAME"]["entities"] == 3
    assert answers[0].tags is None


def test_windows_give_one_answer_without_seams(learn: Learn) -> None:
    # Every window boundary falls into a name.
    text = "ab xyzxyz " * 8
    spans = [(start + 3, start + 9, "NAME") for start in range(0, len(text), 10)]
    records = with_spans((text.strip(), spans))
    answers, metrics = learn(
        TokenClassification.from_records(records, {}), records, Reading(strategy="windows", window=20), steps=120
    )
    assert [(e.start, e.end) for e in answers[0].entities] == [(start, end) for start, end, _ in spans]
    assert not answers[0].truncated
    assert metrics["f1"] == 1.0


def test_words_get_one_tag_each(learn: Learn) -> None:
    words = ["the", "cat", "sat", "on", "the", "mat"]
    tags = ["DT", "NN", "VB", "IN", "DT", "NN"]
    records = [Record(" ".join(words), "b.jsonl", 1, columns={"tokens": words, "tags": tags})]
    task = TokenClassification.from_records(records, {})
    assert not task.has_entities
    assert [metric.key for metric in task.metrics] == ["accuracy", "macro_f1", "loss"]
    (answer,), metrics = learn(task, records)
    assert list(answer.tags) == tags
    assert answer.entities == ()
    assert metrics["accuracy"] == 1.0


def test_what_is_not_read_counts_as_wrong(learn: Learn) -> None:
    text = "ab xy " * 30
    spans = [(start + 3, start + 5, "NAME") for start in range(0, len(text), 6)]
    records = with_spans((text.strip(), spans))
    (answer,), metrics = learn(
        TokenClassification.from_records(records, {}), records, Reading(strategy="head", window=22)
    )
    assert answer.truncated
    assert metrics["precision"] == 1.0
    assert metrics["recall"] < 0.3


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"tokens": ["a", "b"], "tags": ["O"]}, "2 tokens but 1 tags"),
        ({"tokens": ["a", 3], "tags": ["O", "O"]}, "list of strings"),
        ({"spans": [{"start": 0}]}, "spans are a list"),
        ({"spans": [{"start": 0, "end": 99, "label": "NAME"}]}, "outside"),
        ({"tokens": ["a"], "tags": ["B-OTHER"]}, "none of the model's"),
        ({}, "no tags and no spans"),
    ],
)
def test_unusable_labels_are_named_with_their_place(encode: Encode, columns: dict[str, object], message: str) -> None:
    task = TokenClassification(["B-NAME", "I-NAME", "O"])
    with pytest.raises(NysformerError, match=rf"a\.jsonl:7.*{message}"):
        encode(task, Record("a b", "a.jsonl", 7, columns=columns), True)
