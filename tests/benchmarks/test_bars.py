"""A bar says what was reached, what was wanted, and whether that is enough."""

from benchmarks.bars import above, at_least, at_most


def test_the_bound_itself_is_enough() -> None:
    assert at_most("time", 1.25, 1.25) == {"bar": "time", "figure": 1.25, "bound": "<= 1.25", "holds": "yes"}
    assert at_least("faster", 14.0, 14) == {"bar": "faster", "figure": 14.0, "bound": ">= 14", "holds": "yes"}


def test_beyond_the_bound_is_not() -> None:
    assert at_most("time", 1.2501, 1.25)["holds"] == "no"
    assert at_least("faster", 13.9, 14)["holds"] == "no"
    assert above("better", 0.5, 0.5) == {"bar": "better", "figure": 0.5, "bound": "> 0.5", "holds": "no"}
    assert at_most("time", float("nan"), 1.25)["holds"] == "no"
