import json

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torchmetrics.functional.classification import multiclass_accuracy, multiclass_f1_score

from nysformer.errors import NysformerError
from nysformer.tasks.metrics import classification_metrics

NAMES = ["a", "b", "c", "d"]


def logits_for(predicted: list[int], classes: int = 4) -> torch.Tensor:
    return torch.nn.functional.one_hot(torch.tensor(predicted), classes) * 3.0


def test_by_hand() -> None:
    metrics = classification_metrics(
        logits_for([0, 0, 1, 1]), torch.tensor([0, 1, 1, 1]), [512, 513, 4096, 4097], NAMES
    )
    assert metrics["documents"] == 4
    assert metrics["accuracy"] == 0.75
    # a: precision 1/2, recall 1, F1 2/3; b: precision 1, recall 2/3, F1 4/5; c and d do not occur and do not count
    assert metrics["macro_f1"] == pytest.approx((2 / 3 + 4 / 5) / 2)
    assert metrics["per_class"]["a"] == {"precision": 0.5, "recall": 1.0, "f1": pytest.approx(2 / 3), "documents": 1}
    assert metrics["per_class"]["d"] == {"precision": 0.0, "recall": 0.0, "f1": 0.0, "documents": 0}
    assert [(band["band"], band["documents"], band["accuracy"]) for band in metrics["by_length"]] == [
        ("1-512", 1, 1.0),
        ("513-1024", 1, 0.0),
        ("2049-4096", 1, 1.0),
        ("> 4096", 1, 1.0),
    ]


def test_loss_is_mean_cross_entropy_in_any_dtype() -> None:
    logits = torch.randn(6, 4, generator=torch.Generator().manual_seed(0))
    targets = torch.tensor([0, 1, 2, 3, 0, 1])
    expected = -logits.log_softmax(-1)[torch.arange(6), targets].mean().item()
    for dtype, tolerance in ((torch.float32, 1e-6), (torch.bfloat16, 1e-2)):
        metrics = classification_metrics(logits.to(dtype), targets, [5] * 6, NAMES)
        assert metrics["loss"] == pytest.approx(expected, rel=tolerance)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(1, 6000)), min_size=1, max_size=40))
def test_agrees_with_torchmetrics(cases: list[tuple[int, int, int]]) -> None:
    wanted, predicted, lengths = (list(column) for column in zip(*cases, strict=True))
    metrics = classification_metrics(logits_for(predicted), torch.tensor(wanted), lengths, NAMES)
    arguments = (torch.tensor(predicted), torch.tensor(wanted))
    accuracy = multiclass_accuracy(*arguments, num_classes=4, average="micro").item()
    assert metrics["accuracy"] == pytest.approx(accuracy, abs=1e-6)
    macro = multiclass_f1_score(*arguments, num_classes=4, average="macro").item()
    assert metrics["macro_f1"] == pytest.approx(macro, abs=1e-6)
    bands = metrics["by_length"]
    assert sum(band["documents"] for band in bands) == metrics["documents"] == len(cases)
    right = sum(band["accuracy"] * band["documents"] for band in bands)
    assert right / len(cases) == pytest.approx(metrics["accuracy"])
    assert json.loads(json.dumps(metrics)) == metrics


def test_refuses_what_does_not_belong_together() -> None:
    with pytest.raises(NysformerError, match="no documents"):
        classification_metrics(torch.empty(0, 4), torch.empty(0, dtype=torch.int64), [], NAMES)
    with pytest.raises(NysformerError, match="do not belong together"):
        classification_metrics(torch.zeros(2, 3), torch.tensor([0, 1]), [5, 5], NAMES)
    with pytest.raises(NysformerError, match="do not belong together"):
        classification_metrics(torch.zeros(2, 4), torch.tensor([0, 1]), [5], NAMES)


def test_confusion() -> None:
    targets = torch.tensor([0, 0, 0, 1, 1, 2])
    metrics = classification_metrics(logits_for([0, 1, 1, 1, 0, 1]), targets, [5] * 6, NAMES)
    assert metrics["confusion"] == {
        "labels": NAMES,
        "counts": [[1, 2, 0, 0], [1, 1, 0, 0], [0, 1, 0, 0], [0, 0, 0, 0]],
        "pairs": [
            {"label": "a", "predicted": "b", "documents": 2},
            {"label": "b", "predicted": "a", "documents": 1},
            {"label": "c", "predicted": "b", "documents": 1},
        ],
    }


def test_confusion_of_very_many_labels_is_a_list() -> None:
    names = [str(number) for number in range(501)]
    metrics = classification_metrics(logits_for([500, 0], 501), torch.tensor([3, 0]), [5, 5], names)
    assert metrics["confusion"]["counts"] is None
    assert metrics["confusion"]["pairs"] == [{"label": "3", "predicted": "500", "documents": 1}]
