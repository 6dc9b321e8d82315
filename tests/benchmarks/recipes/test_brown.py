"""Form C of the Brown corpus."""

import pytest

from benchmarks.recipes.brown import parse_text, plain_text, simple_tag


def test_sentences_keep_their_words() -> None:
    source = "\n\n\tThe/at 1/2/cd cup/nn ./.\n\n\n\tYes/rb ./.\n"
    assert parse_text(source) == (
        (("The", "at"), ("1/2", "cd"), ("cup", "nn"), (".", ".")),
        (("Yes", "rb"), (".", ".")),
    )


@pytest.mark.parametrize(
    ("tag", "simple"),
    [
        ("nn", "NOUN"), ("nn$-hl", "NOUN"), ("np-tl-hl", "NOUN"), ("md*", "VERB"), ("wdt+bez", "DET"), ("*", "ADV"),
        ("ap$", "DET"), ("pp$$", "PRON"), ("wp$", "DET"), ("--", "PUNCT"), ("---hl", "PUNCT"), ("'", "PUNCT"),
        ("fw-at+nn-tl", "X"), ("nil", "X"), ("cs", "CONJ"), ("to", "PRT"), ("od", "ADJ"), ("unheard", "X"),
    ],
)  # fmt: skip
def test_tags_are_simplified(tag: str, simple: str) -> None:
    assert simple_tag(tag) == simple


def test_marks_are_joined_to_words() -> None:
    words = ["What", "?", "?", "he", "asked", ";", ";", "no", ":", "``", "yes", "''", ",", "she", "said", "."]
    assert plain_text(words) == 'What? he asked; no: "yes", she said.'
