"""Quotes, delimiters, line ends, encodings and headers of CSV and TSV."""

import io

import pytest

from nysformer.data.decoding import UnreadableText
from nysformer.data.records import RecordError, Row
from nysformer.data.separated import check_delimiter, read_separated, separated_columns
from nysformer.errors import NysformerError


def rows(raw: bytes | str, kind: str = "csv", **options: str | None) -> list[object]:
    raw = raw.encode() if isinstance(raw, str) else raw
    return list(read_separated(io.BytesIO(raw), "f", kind, **options))


def reasons(items: list[object]) -> dict[int | None, str]:
    return {item.line: item.reason for item in items if isinstance(item, RecordError)}


def test_rows_and_header() -> None:
    assert separated_columns(io.BytesIO(b"a,b\n1,2\n"), "f", "csv", None, None) == ["a", "b"]
    assert separated_columns(io.BytesIO(b"\n \n"), "f", "csv", None, None) == []
    assert rows(" a ,b\n1,2\n \n") == [Row({"a": "1", "b": "2"}, 2)]
    with pytest.raises(NysformerError, match="f:1: malformed header"):
        separated_columns(io.BytesIO(b'"a" b,c\n'), "f", "csv", None, None)


def test_a_quote_in_tsv_is_a_character() -> None:
    assert rows('text\tlabel\n"open\tx\nhe said "hi"\ty\nclose"\tz\n', "tsv") == [
        Row({"text": '"open', "label": "x"}, 2),
        Row({"text": 'he said "hi"', "label": "y"}, 3),
        Row({"text": 'close"', "label": "z"}, 4),
    ]
    hint = reasons(rows('text\tlabel\n"two\nlines"\tx\n', "tsv"))[2]
    assert "read a quoted file with input_format='csv' and delimiter='\\t'" in hint


def test_an_open_quote_names_its_line_and_what_it_covers() -> None:
    head = 'text,label\n"two\nlines",x\n'
    (good, bad) = rows(head + '"a","b\nc,y\nd,z\n')
    assert isinstance(good, Row)
    assert isinstance(bad, RecordError)
    assert bad.line == 4
    assert "the quote that opens on line 4 is never closed and covers 3 lines, to the end of the file" in bad.reason
    (bad,) = rows('text,label\n"l1\nl2","b\nc\n')
    assert "the quote that opens on line 3 is never closed and covers 2 lines" in str(bad)


def test_a_quote_that_the_next_one_closes_names_the_lines_between() -> None:
    items = rows('text,label\n"a,x\nb,y\n"c",z\nd,z\n')
    assert items[-1] == Row({"text": "d", "label": "z"}, 5)
    assert "the quote that opens on line 2 covers 3 lines and closes on line 4 before other text" in reasons(items)[2]


def test_rows_merged_by_two_quotes_are_warned_of() -> None:
    merged, last = rows('id,text,label\n1,"a,x\n2,b,y\n3,c,y\n4,end",z\n5,d,z\n')
    assert isinstance(merged, Row)
    assert merged.warning is not None
    assert "a quoted cell of 4 lines looks like rows between two stray quotes" in merged.warning
    assert last == Row({"id": "5", "text": "d", "label": "z"}, 6)
    (poem,) = rows('text,label\n"one, two\nthree\nfour, five\nsix",x\n')
    assert isinstance(poem, Row)
    assert poem.warning is None


def test_delimiters() -> None:
    assert rows("text;label\na, b;x\n", delimiter=";") == [Row({"text": "a, b", "label": "x"}, 2)]
    assert "give delimiter=';'" in reasons(rows("text;label\na, b;x\n"))[2]
    assert "input_format='csv' and delimiter=','" in reasons(rows("text,label\na\tb\n", "tsv"))[2]
    for wrong in ("", ";;", '"', "\n"):
        with pytest.raises(NysformerError, match=r"delimiter: .* cannot part cells"):
            check_delimiter(wrong)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_line_ends(end: str) -> None:
    assert rows(f"a,b{end}1,2{end}{end}3,4") == [Row({"a": "1", "b": "2"}, 2), Row({"a": "3", "b": "4"}, 4)]


def test_headers() -> None:
    assert rows(",text\n0,a\n") == [Row({"text": "a"}, 2)]
    assert "the column 'label' stands twice" in reasons(rows("text,label, label\na,x,y\n"))[1]
    assert "no column has a name" in reasons(rows(",,\na,x,y\n"))[1]
    assert "not UTF-8 at byte 2" in reasons(rows(b"t\xe9xt,b\na,x\n"))[1]
    assert rows(b"\xef\xbb\xbftext\na\n") == [Row({"text": "a"}, 2)]


def test_rows_of_other_widths() -> None:
    assert reasons(rows("a,b\n1\n1,2,3\n")) == {
        2: "malformed row: 1 cells under a header of 2",
        3: "malformed row: 3 cells under a header of 2",
    }


def test_encodings() -> None:
    text = "text,label\ncafé,x\n"
    expected = [Row({"text": "café", "label": "x"}, 2)]
    for encoding in ("cp1252", "utf-16", "utf-16-le", "utf-8", "utf-8-sig"):
        assert rows(text.encode(encoding), encoding=encoding) == expected
    with pytest.raises(UnreadableText, match="UTF-16 text; give encoding='utf-16'"):
        rows(text.encode("utf-16"))
    with pytest.raises(UnreadableText, match=r"not utf-16 after line \d"):
        rows(b"\xff\xfea\0\n\0\x00\xd8\n\0", encoding="utf-16")


def test_zero_bytes() -> None:
    with pytest.raises(UnreadableText, match="binary data"):
        rows(b"a,b\n1\0,2\n")
    assert "zero byte" in reasons(rows(b"a\n" + b"long\n" * 2000 + b"1\0\n"))[2002]
