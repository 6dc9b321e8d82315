"""Regular expressions for holders, URLs and addresses."""

import pytest

from benchmarks.recipes.baselines.spans import entities, find_all, find_first, questions, scores
from benchmarks.recipes.gold import QUESTIONS


@pytest.mark.parametrize(
    ("text", "holder"),
    [
        ("Copyright (c) 2000 The Apache Software Foundation.  All rights reserved.", "The Apache Software Foundation"),
        ("Copyright 1995-1997, 1999 by Sun Microsystems, Inc.\nAll rights", "Sun Microsystems, Inc."),
        ("(C) 2001 Robert A. van Engelen, Genivia", "Robert A. van Engelen, Genivia"),
        ("Copyright (C) The Internet Society (1999).", "The Internet Society"),
        ("© 2003 Ann Lee <ann@x.org>", "Ann Lee"),
        ("the copyright notice and the Copyright Holder", ""),
        ("1. (c) Keep this notice", ""),
    ],
)
def test_holders(text: str, holder: str) -> None:
    assert find_first(text, "HOLDER") == holder


def test_addresses_end_before_punctuation() -> None:
    text = "See <http://x.org/a/>, www.y.org. Mail (a.b@x.org)."
    assert [(text[start:end], label) for start, end, label in find_all(text)] == [
        ("http://x.org/a/", "URL"),
        ("www.y.org", "URL"),
        ("a.b@x.org", "EMAIL"),
    ]


def test_scores_of_nothing() -> None:
    assert scores([[]], [[]]) == {"precision": 0.0, "recall": 0.0, "f1": 0.0, "entities": 0}


def test_entities_by_label() -> None:
    row = {"text": "(c) 2001 Ann Lee, ann@x.org", "spans": [{"start": 9, "end": 16, "label": "HOLDER"}]}
    figures = entities([], [row])
    assert figures["regular expressions"] == {
        "precision": 0.5,
        "recall": 1.0,
        "f1": pytest.approx(2 / 3),
        "entities": 1,
    }
    assert figures["regular expressions, HOLDER"]["f1"] == 1.0


def test_questions_with_and_without_an_answer() -> None:
    context = "(c) 2001 Ann Lee. No address."
    rows = [
        {"context": context, "question": QUESTIONS["HOLDER"], "answers": {"text": ["Ann Lee"], "answer_start": [9]}},
        {"context": context, "question": QUESTIONS["URL"], "answers": {"text": [], "answer_start": []}},
        {"context": context, "question": QUESTIONS["EMAIL"], "answers": {"text": [], "answer_start": []}},
    ]
    figures = questions([], rows)
    assert figures["regular expressions"] == {"exact_match": 1.0, "f1": 1.0, "no_answer_accuracy": 1.0}
    assert figures["never an answer"]["exact_match"] == pytest.approx(2 / 3)
