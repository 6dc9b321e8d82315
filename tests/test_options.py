"""Options say what they may be, and refuse everything else with name, value and range."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nysformer.errors import NysformerError
from nysformer.options import Choice, Flag, Number, Text, Texts, check_options, option, share, whole


@dataclass(frozen=True)
class Options:
    steps: int = option(3, whole(1))
    seed: int = option(0, whole(0, 2**32 - 1))
    limit: float | None = option(None, Number(0, 100, open_low=True))
    rate: float = option(0.1, Number(0, open_low=True))
    decay: float = option(0.1, Number(0))
    part: float = option(0.1, share(zero=True))
    metric: str | None = option(None, Choice(("loss", "accuracy")))
    fast: bool = option(False, Flag())
    place: str = option("here", Text())
    files: tuple[str, ...] = option((), Texts())

    def __post_init__(self) -> None:
        check_options(self)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"steps": 0}, "steps: 0 is below 1; give a whole number from 1 to 2,147,483,647"),
        ({"steps": 2.0}, "steps: 2.0 is not a whole number; give"),
        ({"steps": True}, "steps: True is not a whole number; give"),
        ({"steps": "3"}, "steps: '3' is not a whole number; give"),
        ({"steps": None}, "steps: None is not a whole number; give"),
        ({"steps": 10**12}, "steps: 1000000000000 is above 2,147,483,647; give"),
        ({"seed": 5_000_000_000}, "seed: 5000000000 is above 4,294,967,295; give a whole number from 0"),
        ({"seed": -1}, "seed: -1 is below 0; give"),
        ({"limit": 0}, "limit: 0 is not above 0; give a number above 0 and at most 100"),
        ({"limit": float("inf")}, "limit: inf is not finite; give"),
        ({"limit": float("-inf")}, "limit: -inf is not above 0; give"),
        ({"limit": 101}, "limit: 101 is above 100; give"),
        ({"limit": "5"}, "limit: '5' is not a number; give"),
        ({"rate": float("nan")}, "rate: nan is not a number; give a number above 0"),
        ({"rate": float("inf")}, "rate: inf is not finite; give a number above 0"),
        ({"rate": 1j}, "rate: 1j is not a number"),
        ({"decay": -0.5}, "decay: -0.5 is below 0; give a number of at least 0"),
        ({"part": 1.0}, "part: 1.0 is not below 1; give a number of at least 0 and below 1"),
        ({"metric": "f1"}, "metric: 'f1' is unknown; there is loss, accuracy"),
        ({"metric": ["loss"]}, "metric: .* is unknown; there is loss, accuracy"),
        ({"fast": 1}, "fast: 1 is neither True nor False"),
        ({"place": ""}, "place: the text is empty"),
        ({"place": 3}, "place: 3 is not a text"),
        ({"files": 3}, "files: 3 is not a sequence of texts"),
        ({"files": ["a", None]}, "files: None is not a text"),
    ],
)
def test_name_value_and_range_of_what_is_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(NysformerError, match=words) as caught:
        Options(**changes)
    assert "\n" not in str(caught.value)


def test_what_is_allowed_becomes_plain_python() -> None:
    options = Options(steps=np.int64(7), limit=np.float32(0.5), place=Path("a/b"), files=[Path("a"), "b"])
    assert (options.steps, options.limit, options.place, options.files) == (7, 0.5, "a/b", ("a", "b"))
    assert [type(value) for value in (options.steps, options.limit, options.place)] == [int, float, str]
    assert Options(files="a").files == ("a",)
    assert type(Options(limit=5).limit) is int
    assert Options(limit=None).limit is None
    assert Options(seed=2**32 - 1).seed == 2**32 - 1
