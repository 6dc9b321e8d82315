"""What bytes are, where they are not UTF-8."""

import pytest

from nysformer.data.decoding import Decoder, UnreadableText, check_encoding, not_text
from nysformer.errors import NysformerError


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("naïve résumé, déjà vu", "cp1252"),
        ("Größe und Übermaß", "cp1252"),
        ("Привет, мир, как дела", "cp1251"),
        ("日本語の文章です。とても長い", "shift_jis"),
    ],
)
def test_the_encoding_is_guessed(text: str, encoding: str) -> None:
    with pytest.raises(UnreadableText, match=rf"not UTF-8 at byte \d+ \(looks like {encoding}\)") as caught:
        Decoder(None).decode(text.encode(encoding))
    assert str(caught.value).endswith(f"give encoding={encoding!r}")


def test_a_named_encoding_that_is_wrong() -> None:
    with pytest.raises(UnreadableText, match=r"not cp1251 at byte 1 "):
        Decoder("cp1251").decode(b"\x98")
    for name in ("nope", "hex", "rot13", ""):
        with pytest.raises(NysformerError, match=r"encoding: .* is unknown"):
            check_encoding(name)


def test_marks_and_zero_bytes() -> None:
    assert not_text("text".encode("utf-16"), None) == "UTF-16 text; give encoding='utf-16'"
    assert not_text("text".encode("utf-32"), None) == "UTF-32 text; give encoding='utf-32'"
    assert "encoding='utf-16-be'" in str(not_text("some text".encode("utf-16-be"), None))
    assert "byte 2" in str(not_text(b"a\0bcdefghijk", None))
    assert not_text("text".encode("utf-16"), "utf-16") is None
    assert not_text(b"plain", None) is None
