"""Values of licence texts as spans and answers."""

import pytest

from benchmarks.recipes.gold import answers, contradicted, places, spans_of


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Copyright (c) 2001 Ann Lee", ["Ann Lee"]),
        ("Copyright 1999, 2001-2003 by Bo Yu and\n * Ann\n Lee", ["Ann\n Lee"]),
        ("(c) Ann Lee. Ann Lee is not liable", ["Ann Lee"]),
        ("(c) 2001 Ann Lee\n(c) 2002 Ann Lee", ["Ann Lee", "Ann Lee"]),
        ("Retain the copyright notice and pay Ann Lee", []),
        ("Copyright 2001\n\nAnn Lee", []),
        ("Ann Lee wrote this", []),
        ("Copyright 2001 Ann Leeson, Joann Lee", []),
    ],
)
def test_a_holder_counts_in_a_copyright_statement(text: str, found: list[str]) -> None:
    assert [text[start:end] for start, end in places("HOLDER", "Ann Lee", text)] == found


def test_the_longer_value_has_the_place() -> None:
    text = "see http://x.org/a/b and http://x.org/a, or write to a@x.org"
    spans = spans_of(text, {"URL": ("http://x.org/a", "http://x.org/a/b"), "EMAIL": ("a@x.org",)})
    assert [text[start:end] for start, end, _ in spans] == ["http://x.org/a/b", "http://x.org/a", "a@x.org"]
    assert [label for *_, label in spans] == ["URL", "URL", "EMAIL"]


def test_answers_are_slices_of_the_text() -> None:
    text = "© 2001 Ann\nLee, © 2002 Bo, © 2003 Bo"
    spans = spans_of(text, {"HOLDER": ("Bo", "Ann Lee"), "URL": ()})
    assert answers(text, spans, "HOLDER") == {"text": ["Ann\nLee", "Bo"], "answer_start": [7, 23]}
    assert answers(text, spans, "URL") == {"text": [], "answer_start": []}


@pytest.mark.parametrize(
    ("text", "against"),
    [("Copyright 1999 Ann", True), ("see www.x.org", True), ("mail a@b.c", True), ("the copyright notice", False)],
)
def test_signs_of_missing_values(text: str, against: bool) -> None:
    assert contradicted(text, {"HOLDER": (), "URL": (), "EMAIL": ()}) is against
