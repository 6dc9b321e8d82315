import io

import pytest

from nysformer.data.decoding import Decoder, UnreadableText
from nysformer.data.lines import read_lines


def test_lines_keep_their_numbers_across_blank_ones() -> None:
    assert list(read_lines(io.BytesIO(b"\n a \r\n\n\nb"))) == [(2, b"a"), (5, b"b")]
    assert list(read_lines(io.BytesIO(b"x" * 200_000))) == [(1, b"x" * 200_000)]
    assert list(read_lines(io.BytesIO(b""))) == []


def test_lines_of_an_encoding_that_is_not_bytewise_come_in_utf8() -> None:
    # U+0A0D and U+0D0A hold the bytes of line ends without being any.
    text = "one \u0a0d\u0d0a\ntwo\n" * 20_000
    lines = list(read_lines(io.BytesIO(text.encode("utf-16")), Decoder("utf-16")))
    assert len(lines) == 40_000
    assert lines[:2] == [(1, "one \u0a0d\u0d0a".encode()), (2, b"two")]


def test_damage_in_such_an_encoding_is_named() -> None:
    with pytest.raises(UnreadableText, match="not utf-16-le: it breaks off at byte 3"):
        list(read_lines(io.BytesIO(b"a\0b"), Decoder("utf-16-le")))
