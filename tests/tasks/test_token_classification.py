from collections.abc import Callable
from typing import Any

import pytest

from nysformer.data.records import Item, Record, RecordError
from nysformer.errors import NysformerError
from nysformer.tasks.reading import Reading
from nysformer.tasks.token_classification import TokenClassification

Read = Callable[..., Item]
Encode = Callable[..., Any]
Learn = Callable[..., tuple[list[Any], dict[str, Any]]]


def with_spans(*documents: tuple[str, list[tuple[int, int, str]]]) -> list[Record]:
    return [Record(text, "a.jsonl", line, tuple(spans)) for line, (text, spans) in enumerate(documents, start=1)]


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
    records = [Record(" ".join(words), "b.jsonl", 1, tuple(tags), words=tuple(words))]
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
    ("record", "message"),
    [
        (Record("a b", "a.jsonl", 7, ("O",), words=("a", "b")), "2 tokens but 1 tags"),
        (Record("a b", "a.jsonl", 7, ((0, 99, "NAME"),)), "outside the text"),
        (Record("a b", "a.jsonl", 7, ((0, 2, "NAME"), (1, 3, "NAME"))), "overlap"),
        (Record("a", "a.jsonl", 7, ("B-OTHER",), words=("a",)), "none of the model's"),
        (Record("a b", "a.jsonl", 7), "no tags and no spans"),
    ],
)
def test_labels_that_do_not_suit_are_named_with_their_place(encode: Encode, record: Record, message: str) -> None:
    with pytest.raises(NysformerError, match=rf"a\.jsonl:7.*{message}"):
        encode(TokenClassification(["B-NAME", "I-NAME", "O"]), record, True)


TEXT, WORDS = {"text": "a b"}, {"tokens": ["a", "b"]}


@pytest.mark.parametrize(
    ("row", "label"),
    [
        ({**WORDS, "tags": ["O", " B-X"]}, ("O", "B-X")),
        ({**WORDS, "tags": [3, 0]}, ("3", "0")),
        ({**TEXT, "spans": [{"start": 0, "end": 1, "label": "X"}]}, ((0, 1, "X"),)),
        ({**TEXT, "spans": [[0, 1, "X"], [2.0, 3, 7]]}, ((0, 1, "X"), (2, 3, "7"))),
        ({**TEXT, "spans": {"start": [0], "end": [1], "label": ["X"]}}, ((0, 1, "X"),)),
        ({**TEXT, "spans": []}, ()),
        ({**TEXT, "tokens": None, "tags": None, "spans": []}, ()),
        ({**WORDS, **TEXT, "tags": ["O", "O"], "spans": []}, ("O", "O")),
    ],
)
def test_a_row_becomes_a_record(read: Read, row: dict[str, object], label: object) -> None:
    record = read(TokenClassification, row)
    assert isinstance(record, Record)
    assert (record.text, record.label) == ("a b", label)
    assert record.words == (("a", "b") if row.get("tokens") else None)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({}, "no column 'tokens' or 'text' (there are: none); name the one with the tokens or text"),
        (TEXT, "no column 'spans' (there are: text)"),
        (WORDS, "no column 'tags' (there are: tokens)"),
        ({"tokens": ["a", 3], "tags": ["O", "O"]}, "column 'tokens': item 2 is of type int, not text"),
        ({"tokens": [["a"]], "tags": ["O"]}, "column 'tokens': item 1 is of type list, not text"),
        ({"tokens": "a b", "tags": ["O"]}, "column 'tokens': of type str, not a list of texts"),
        ({"tokens": 3, "tags": ["O"]}, "column 'tokens': of type int, not a list of texts"),
        ({"tokens": [], "tags": []}, "the document is empty"),
        ({"tokens": None, "tags": []}, "the document is empty (column 'tokens' is null)"),
        ({"tokens": ["\ud800"], "tags": ["O"]}, "item 1 of column 'tokens' is not valid UTF-8"),
        ({**WORDS, "tags": "OO"}, "column 'tags': of type str, not a list of tags"),
        ({**WORDS, "tags": ["O", None]}, "column 'tags': item 2 (None) is no tag"),
        ({**WORDS, "tags": ["O", True]}, "column 'tags': item 2 (True) is no tag"),
        ({**WORDS, "tags": ["O", ["O"]]}, "column 'tags': item 2 (['O']) is no tag"),
        ({**WORDS, "tags": ["O", ""]}, "column 'tags': item 2 ('') is no tag"),
        ({**WORDS, "tags": None}, "column 'tags': of type null"),
        ({**TEXT, "spans": [{"start": 0}]}, "column 'spans': not a list of {"),
        ({**TEXT, "spans": [[0, 1]]}, "column 'spans': not a list of {"),
        ({**TEXT, "spans": 3}, "column 'spans': not a list of {"),
        ({**TEXT, "spans": None}, "column 'spans': not a list of {"),
        ({**TEXT, "spans": [[0, "1", "X"]]}, "of type str, not a whole number"),
        ({**TEXT, "spans": [[0, 1, None]]}, "the document has no label"),
        ({"text": ["a"], "spans": []}, "column 'text' is of type list, not text"),
    ],
)
def test_unusable_rows_are_named(read: Read, row: dict[str, object], message: str) -> None:
    error = read(TokenClassification, row)
    assert isinstance(error, RecordError)
    assert error.line == 7
    assert message in error.reason
