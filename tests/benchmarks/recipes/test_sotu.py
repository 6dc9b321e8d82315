"""What would give the answer away is masked, and splits are spread over the years."""

import pytest

from benchmarks.recipes.sotu import mask_name, mask_years, parts, spread


@pytest.mark.parametrize(
    "text",
    [
        "in 1790", "the 1930's", "1881-82", "the year 1861.", "nineteen hundred and five", "July 4, 1776", "1914-1918",
        "the Fifty-fifth Congress", "the 103d and 104th Congress",
    ],
)  # fmt: skip
def test_no_year_is_left(text: str) -> None:
    masked = mask_years(text)
    assert not any(part in masked for part in ("17", "18", "19", "82", "hundred", "104", "Fifty", "five"))


@pytest.mark.parametrize("text", ["2,050 men", "$1,900.50", "one hundred men", "the first session of Congress"])
def test_other_numbers_stay(text: str) -> None:
    assert mask_years(text) == text


def test_the_signature_and_the_own_name_go() -> None:
    text = "Mrs. Carter and I thank President Ford.\nJIMMY CARTER.\nThe White House,\nJanuary 25."
    assert mask_name(text, "Jimmy Carter", "Carter") == "Mrs. [name] and I thank President Ford."


def test_a_name_in_the_middle_is_no_signature() -> None:
    text = "Now hear\nJames Polk\n" + "a long speech. " * 40
    assert mask_name(text, "James Polk", "Polk") == ("Now hear\n[name]\n" + "a long speech. " * 40).strip()


def test_parts_lose_no_paragraph() -> None:
    text = "\n\n".join("word " * (7 * number % 50 + 1) for number in range(30))
    cut = parts(text, 100)
    assert "\n".join(cut).split() == text.split()
    assert all(50 <= len(part.split()) <= 150 for part in cut)
    assert parts("short", 100) == ["short"]


def test_spread_takes_one_of_each_five() -> None:
    names = [f"p{number:02}" for number in range(45)]
    split = spread(list(range(1790, 1835)), names, seed=3)
    for start in range(0, 45, 5):
        assert [split[name] for name in names[start : start + 5]].count("test") == 1
    assert split == spread(list(range(1790, 1835)), names, seed=3)
    assert split != spread(list(range(1790, 1835)), names, seed=4)
