from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nysformer.data.records import Item, Record, RecordError
from nysformer.errors import NysformerError
from nysformer.tasks.question_answering import QuestionAnswering, best_span
from nysformer.tasks.reading import Reading

Read = Callable[..., Item]
Encode = Callable[..., Any]
Learn = Callable[..., tuple[list[Any], dict[str, Any]]]


def ask(question: str, context: str, *answers: str, line: int = 1) -> Record:
    gold = tuple((context.index(answer), context.index(answer) + len(answer), answer) for answer in answers)
    return Record(context, "q.jsonl", line, gold, values={"question": question})


def test_answers_are_slices_of_the_context_and_there_may_be_none(learn: Learn) -> None:
    records = [
        ask("who", "we saw  xy zu\r\nthere", "xy zu"),
        ask("what", "a cat and q sat", "cat"),
        ask("who", "nobody was here"),
    ]
    answers, metrics = learn(QuestionAnswering(), records, steps=150)
    assert [answer.answer for answer in answers] == ["xy zu", "cat", ""]
    assert (answers[0].start, answers[0].end) == (8, 13)
    assert answers[2].start is None
    assert answers[2].to_dict().keys().isdisjoint({"start", "end"})
    assert metrics == {"documents": 3, "f1": 1.0, "exact_match": 1.0, "no_answer_accuracy": 1.0, "unanswerable": 1}


def test_windows_find_an_answer_anywhere(learn: Learn) -> None:
    context = "ab " * 40 + "xyz " + "ab " * 20
    records = [ask("who", context, "xyz")]
    reading = Reading(strategy="windows", window=30)
    answers, metrics = learn(QuestionAnswering(), records, reading, steps=150)
    assert answers[0].answer == "xyz"
    assert not answers[0].truncated
    assert metrics["exact_match"] == 1.0


@given(st.lists(st.floats(-5, 5, width=32), min_size=1, max_size=30), st.integers(1, 6), st.integers(0, 2**32 - 1))
def test_best_span_is_the_best_of_all(start: list[float], longest: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    begin, end = np.array(start, dtype=np.float32), rng.normal(size=len(start)).astype(np.float32)
    allowed = rng.random(len(start)) < 0.7
    sums = [
        float(begin[i] + end[j])
        for i in range(len(start))
        for j in range(i, min(len(start), i + longest))
        if allowed[i] and allowed[j]
    ]
    found = best_span(begin, end, allowed, longest)
    assert (found is None) == (not sums)
    if found is not None:
        i, j, total = found
        assert allowed[i]
        assert allowed[j]
        assert 0 <= j - i < longest
        assert total == max(sums)


@pytest.mark.parametrize(
    ("gold", "message"),
    [
        ((0, 1, "c"), "the answer 'c' does not stand at character 0"),
        ((-1, 0, "c"), "the answer 'c' does not stand at character -1"),
        ((0, 9, None), "the span 0 to 9 is empty or outside the text of 3 characters"),
        ((2, 2, None), "the span 2 to 2 is empty"),
    ],
)
def test_answers_that_do_not_stand_there_are_named(encode: Encode, gold: tuple[object, ...], message: str) -> None:
    record = Record("b c", "q.jsonl", 3, (gold,), values={"question": "a"})
    with pytest.raises(NysformerError, match=rf"q\.jsonl:3: {message}"):
        encode(QuestionAnswering(), record, True)


SQUAD = {"question": "a?", "context": "b c d"}
SPAN = {"question": "a?", "text": "b c d"}


@pytest.mark.parametrize(
    ("row", "gold"),
    [
        ({**SQUAD, "answers": {"text": ["c", "d"], "answer_start": [2, 4]}}, ((2, 3, "c"), (4, 5, "d"))),
        ({**SQUAD, "answers": [{"text": "c", "answer_start": 2}]}, ((2, 3, "c"),)),
        ({**SQUAD, "answers": {"text": "c", "answer_start": 2.0}}, ((2, 3, "c"),)),
        ({**SQUAD, "answers": {"text": [], "answer_start": []}}, ()),
        ({**SQUAD, "answers": []}, ()),
        ({**SPAN, "span": [2, 3]}, ((2, 3, None),)),
        ({**SPAN, "span": {"start": 2, "end": 3}}, ((2, 3, None),)),
        ({**SPAN, "span": None}, ()),
    ],
)
def test_a_row_becomes_a_record(read: Read, encode: Encode, row: dict[str, object], gold: object) -> None:
    record = read(QuestionAnswering, row)
    assert isinstance(record, Record)
    assert (record.text, record.values, record.label) == ("b c d", {"question": "a?"}, gold)
    assert encode(QuestionAnswering(), record, True).examples


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (
            {"question": "a"},
            "no column 'context' or 'text' (there are: question); name the one with the context or text",
        ),
        ({"context": "a"}, "no column 'question' (there are: context)"),
        (SQUAD, "no column 'answers' (there are: question, context)"),
        (SPAN, "no column 'span' (there are: question, text)"),
        ({**SPAN, "question": ""}, "no column 'span'"),
        ({**SPAN, "span": None, "question": " "}, "column 'question': empty; give text"),
        ({**SPAN, "span": None, "question": 3}, "column 'question': of type int, not text"),
        ({**SPAN, "span": None, "question": "\ud800"}, "the question is not valid UTF-8 at character 1"),
        ({**SPAN, "span": [2]}, "column 'span': of type list; give [3, 9]"),
        ({**SPAN, "span": "2-3"}, "column 'span': of type str; give [3, 9]"),
        ({**SPAN, "span": {"start": 2}}, "column 'span': of type null, not a whole number"),
        ({**SPAN, "span": [2, 2.5]}, "column 'span': of type float (2.5), not a whole number"),
        ({**SQUAD, "answers": {"text": ["c"], "answer_start": []}}, "two lists of one length"),
        ({**SQUAD, "answers": {"text": ["c"]}}, "column 'answers': not {"),
        ({**SQUAD, "answers": ["c"]}, "column 'answers': not {"),
        ({**SQUAD, "answers": None}, "column 'answers': not {"),
        ({**SQUAD, "answers": 3}, "column 'answers': not {"),
        ({**SQUAD, "answers": {"text": [""], "answer_start": [0]}}, "column 'answers': empty; give text"),
        ({**SQUAD, "answers": {"text": ["c"], "answer_start": ["2"]}}, "column 'answers': of type str, not a whole"),
    ],
)
def test_unusable_rows_are_named(read: Read, row: dict[str, object], message: str) -> None:
    error = read(QuestionAnswering, row)
    assert isinstance(error, RecordError)
    assert error.line == 7
    assert message in error.reason


def test_a_question_longer_than_the_window_is_refused(encode: Encode) -> None:
    with pytest.raises(NysformerError, match="leave no room"):
        encode(QuestionAnswering(), ask("abc " * 30, "b c"), False)
