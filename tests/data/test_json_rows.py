"""JSON in every layout that people write, and what is wrong with the rest."""

import io

import pytest

from nysformer.data.json_rows import read_json
from nysformer.data.records import RecordError, Row


def rows(raw: bytes) -> list[object]:
    return list(read_json(io.BytesIO(raw), "f"))


def test_rows_keep_all_columns() -> None:
    assert rows(b'{"text": "a", "n": [1]}\n[1]\n') == [
        Row({"text": "a", "n": [1]}, 1),
        RecordError("f", 2, "a JSON list where an object should stand"),
    ]


def test_objects_over_several_lines_keep_the_line_they_begin_on() -> None:
    assert rows(b'\n{\n "text": "a"\n}\n\n{\n "text": "b"\n}\n') == [Row({"text": "a"}, 2), Row({"text": "b"}, 6)]
    (fault,) = rows(b'{\n "text": \n}')
    assert isinstance(fault, RecordError)
    assert "invalid JSON over several lines, nothing read from here on" in fault.reason


@pytest.mark.parametrize("raw", [b"[" * 100_000, b'{"text": ' + b"[" * 100_000, b'{\n"a":' + b"[" * 100_000])
def test_nested_too_deep(raw: bytes) -> None:
    (fault,) = rows(raw)
    assert isinstance(fault, RecordError)
    assert fault.reason.endswith(": nested too deep")


def test_a_key_twice_is_refused_in_the_object_but_not_below_it() -> None:
    twice = "the key 'text' stands twice in the object; keep one of the two"
    assert rows(b'{"text": "a", "text": "b"}\n{"text": "c", "more": {"x": 1, "x": 2}}') == [
        RecordError("f", 1, twice),
        Row({"text": "c", "more": {"x": 2}}, 2),
    ]
    assert rows(b'[{"text": "a", "text": "b"}]') == [RecordError("f", 1, twice)]


def test_a_byte_order_mark_and_special_line_ends() -> None:
    assert rows(b'\xef\xbb\xbf{"text": "a\xe2\x80\xa8b"}\r\n') == [Row({"text": "a\u2028b"}, 1)]
    assert rows(b"\xef\xbb\xbf") == []
