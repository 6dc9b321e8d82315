"""Classes with F1 0 are named, and those that were never predicted are told from those that were."""

import torch

from nysformer.tasks.metrics import classification_metrics
from nysformer.tasks.weaknesses import zero_f1

NAMES = ["a", "b", "c", "d"]


def metrics(wanted: list[int], predicted: list[int], names: list[str] = NAMES) -> dict:
    logits = torch.nn.functional.one_hot(torch.tensor(predicted), len(names)).float()
    return classification_metrics(logits, torch.tensor(wanted), [1] * len(wanted), names)


def test_never_predicted_and_never_right() -> None:
    found = metrics([0, 0, 1, 2], [0, 2, 0, 0])
    assert zero_f1(found) == "2 of 3 classes have F1 0: b (never predicted); c (predicted, but never rightly)."


def test_all_is_well() -> None:
    assert zero_f1(metrics([0, 1, 2], [0, 1, 2])) is None, "d has no documents"


def test_without_a_matrix_and_with_many_classes() -> None:
    names = [f"class {number:03}" for number in range(600)]
    found = metrics(list(range(600)), [0] * 300 + [1] * 300, names)
    assert found["confusion"]["counts"] is None
    said = zero_f1(found)
    assert said is not None
    assert said.startswith("599 of 600 classes have F1 0: class 001, class 002, ")
    assert said.endswith("class 020 and 579 more.")
