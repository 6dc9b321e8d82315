"""Figures are scikit-learn's; intervals come from whole groups, paired between systems."""

from typing import Any

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, f1_score

from benchmarks.folds.figures import measure
from nysformer.errors import NysformerError

Rows = list[dict[str, Any]]


def some_rows(seed: int, right: float, count: int = 120) -> Rows:
    random = np.random.default_rng(seed)
    labels = random.choice(["a", "b", "c"], size=count, p=[0.6, 0.3, 0.1]).tolist()
    wrong = random.random(count) > right
    return [
        {
            "id": place,
            "group": str(place // 3),
            "words": 499 + place % 3,
            "label": label,
            "predicted": "a" if wrong[place] else label,
        }
        for place, label in enumerate(labels)
    ]


def test_figures_are_those_of_scikit_learn_and_the_mean_of_the_seeds() -> None:
    rounds = [some_rows(0, 0.7), some_rows(1, 0.5)]
    found = measure({"one": rounds}, "one", resamples=50)["one"]
    for prefix, least in (("", 0), ("long_", 501)):
        pairs = [
            [[row[key] for row in rows if row["words"] >= least] for key in ("label", "predicted")] for rows in rounds
        ]
        expected = np.mean([accuracy_score(*pair) for pair in pairs])
        assert found[f"{prefix}accuracy"] == pytest.approx(expected)
        expected = np.mean([f1_score(*pair, average="macro", zero_division=0.0) for pair in pairs])
        assert found[f"{prefix}macro_f1"] == pytest.approx(expected)
    assert (found["documents"], found["long_documents"]) == (120, 40)
    low, high = found["macro_f1_interval"]
    assert low < found["macro_f1"] < high


def test_the_difference_is_paired() -> None:
    good, bad = some_rows(0, 0.9), some_rows(0, 0.6)  # of the same labels
    found = measure({"bad": [bad], "good": [good]}, "bad")
    low, high = found["good"]["accuracy_difference_interval"]
    assert 0 < low < found["good"]["accuracy"] - found["bad"]["accuracy"] < high
    assert found["bad"]["macro_f1_difference_interval"] == [0.0, 0.0]
    assert found == measure({"bad": [bad], "good": [good]}, "bad")


def test_one_group_has_no_spread() -> None:
    rows = [{**row, "group": "all"} for row in some_rows(0, 0.7)]
    found = measure({"one": [rows]}, "one", resamples=20)["one"]
    assert found["accuracy_interval"] == pytest.approx([found["accuracy"]] * 2)


def test_classes_never_predicted_and_no_long_texts() -> None:
    rows = [{**row, "words": 10, "predicted": "a"} for row in some_rows(0, 0.7)]
    found = measure({"one": [rows]}, "one", resamples=20)["one"]
    assert found["never_predicted"] == ["b", "c"]
    assert found["per_class"]["b"] == 0.0
    assert found["long_macro_f1"] is None
    assert found["long_documents"] == 0


def test_other_documents_are_refused() -> None:
    with pytest.raises(NysformerError, match="two: predicted other documents than one"):
        measure({"one": [some_rows(0, 0.7)], "two": [some_rows(0, 0.7, count=119)]}, "one")
