from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nysformer.data.records import Record
from nysformer.errors import NysformerError
from nysformer.tasks.question_answering import QuestionAnswering, best_span
from nysformer.tasks.reading import Reading

Encode = Callable[..., Any]
Learn = Callable[..., tuple[list[Any], dict[str, Any]]]


def ask(question: str, context: str, *answers: str, line: int = 1) -> Record:
    gold = {"text": list(answers), "answer_start": [context.index(answer) for answer in answers]}
    return Record(context, "q.jsonl", line, columns={"question": question, "context": context, "answers": gold})


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
    ("columns", "message"),
    [
        ({"question": "", "context": "a"}, "'question' is empty"),
        ({"question": "a"}, "'context' is empty or not text"),
        ({"question": "a", "context": "b c"}, "answers are"),
        ({"question": "a", "context": "b c", "answers": {"text": ["c"], "answer_start": [0]}}, "does not stand at"),
        ({"question": "a", "context": "b c", "answers": {"text": ["c"], "answer_start": []}}, "answers are"),
    ],
)
def test_unusable_records_are_named(encode: Encode, columns: dict[str, object], message: str) -> None:
    with pytest.raises(NysformerError, match=rf"q\.jsonl:3.*{message}"):
        encode(QuestionAnswering(), Record("b c", "q.jsonl", 3, columns=columns), True)


def test_a_question_longer_than_the_window_is_refused(encode: Encode) -> None:
    with pytest.raises(NysformerError, match="leave no room"):
        encode(QuestionAnswering(), ask("abc " * 30, "b c"), False)
