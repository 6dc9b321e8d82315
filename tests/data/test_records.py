"""Records name their place in one printable line."""

from nysformer.data.records import Record, RecordError, shown


def test_places_read_as_file_and_line() -> None:
    assert str(RecordError("a.csv", 3, "malformed row")) == "a.csv:3: malformed row"
    assert str(RecordError("a.txt", None, "the document is empty")) == "a.txt: the document is empty"


def test_names_of_any_bytes_are_one_printable_line() -> None:
    assert shown("two\nlines\udcff\x1b") == "two\\nlines\\xff\\x1b"
    assert shown("Größe 日本.txt") == "Größe 日本.txt"
    assert str(RecordError("a\nb", None, "x")) == "a\\nb: x"


def test_other_columns_do_not_make_records_differ() -> None:
    assert Record("a", "f", 1, columns={"id": 1}) == Record("a", "f", 1)
