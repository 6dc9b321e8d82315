"""The shown document follows from the answers by a rule, whatever the answers are."""

import pytest

from nysformer.demo.example import choose_example


@pytest.mark.parametrize(
    ("model_right", "rival_right", "place", "words"),
    [
        ([True, False, True, True], [True, True, False, False], 2, "the first test document, in the order of the file"),
        ([True, False, False], [True, False, True], 2, "ours alone gets no test document right"),
        ([True, False, False], [True, False, False], 1, "ours and theirs are right on the same test documents"),
        ([True, True], [True, True], 0, "ours and theirs get every test document right"),
    ],
)
def test_choice(model_right: list[bool], rival_right: list[bool], place: int, words: str) -> None:
    chosen, rule = choose_example(model_right, rival_right, model="ours", rival="theirs")
    assert chosen == place
    assert rule.startswith(words)


def test_no_documents() -> None:
    with pytest.raises(ValueError, match="no test documents"):
        choose_example([], [], model="ours", rival="theirs")
