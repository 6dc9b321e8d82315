"""Rows of the published splits."""

from benchmarks.recipes.news import parse_table, without_copies

HEADER = "Category\tText\nd\tstring\nclass\t\n"


def test_header_and_empty_rows_are_skipped() -> None:
    assert parse_table(HEADER + "earn\tnet shr\nacq\t\n\nacq\tbuys unit \n") == [
        ("earn", "net shr"),
        ("acq", "buys unit"),
    ]


def test_copies_leave_training_whatever_their_label() -> None:
    assert without_copies([("a", "x"), ("b", "y"), ("a", "y")], [("a", "y")]) == [("a", "x")]
