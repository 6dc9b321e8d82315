"""Weights of rare labels, and the losses that use them."""

from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from transformers.modeling_outputs import SequenceClassifierOutput

from nysformer.data.records import Record
from nysformer.errors import NysformerError
from nysformer.tasks.class_weights import ClassWeights, label_weights, positive_weights
from nysformer.tasks.labels import MULTI_LABEL, REGRESSION, SINGLE_LABEL, ProblemType
from nysformer.tasks.sequence_classification import SequenceClassification

COUNTS = [40, 10, 1]


def records(labels: list[Any]) -> list[Record]:
    return [Record(text="a", label=label, source="a.jsonl", line=line) for line, label in enumerate(labels, start=1)]


def test_balanced_is_what_scikit_learn_calls_so() -> None:
    from sklearn.utils.class_weight import compute_class_weight

    truth = compute_class_weight("balanced", classes=np.arange(3), y=np.repeat(np.arange(3), COUNTS))
    np.testing.assert_allclose(label_weights(COUNTS, "balanced"), truth)


def test_sqrt_goes_half_of_the_way() -> None:
    weights = label_weights(COUNTS, "sqrt")
    np.testing.assert_allclose(weights / weights[0], [1.0, 2.0, 40**0.5])
    assert np.dot(weights, COUNTS) == pytest.approx(sum(COUNTS))
    np.testing.assert_allclose(positive_weights(COUNTS, 51, "sqrt"), positive_weights(COUNTS, 51, "balanced") ** 0.5)


@pytest.mark.parametrize("kind", ["sqrt", "balanced"])
def test_a_label_without_documents_is_finite(kind: ClassWeights) -> None:
    assert np.isfinite(label_weights([3, 0], kind)).all()
    assert np.isfinite(label_weights([0, 0], kind)).all()
    assert np.isfinite(positive_weights([3, 0], 3, kind)).all()


@pytest.mark.parametrize("kind", ["sqrt", "balanced"])
@pytest.mark.parametrize("problem", [SINGLE_LABEL, MULTI_LABEL])
def test_losses(problem: ProblemType, kind: ClassWeights) -> None:
    task = SequenceClassification(["a", "b", "c"], problem)
    names = np.repeat(["a", "b", "c"], COUNTS).tolist()
    given = records([(name, "a") if name == "b" else (name,) for name in names] if problem == MULTI_LABEL else names)
    loss = task.loss_function(given, kind)
    assert loss is not None
    logits = torch.randn(4, 3, generator=torch.Generator().manual_seed(0))
    output = SequenceClassifierOutput(logits=logits)
    if problem == SINGLE_LABEL:
        labels = torch.tensor([0, 1, 2, 0])
        weights = torch.tensor(label_weights(COUNTS, kind), dtype=torch.float32)
        expected = F.cross_entropy(logits, labels, weight=weights)
    else:
        labels = torch.tensor([[1.0, 0, 0], [1, 1, 0], [0, 0, 0], [0, 0, 1]])
        positive = torch.tensor(positive_weights([50, 10, 1], 51, kind), dtype=torch.float32)
        expected = F.binary_cross_entropy_with_logits(logits, labels, pos_weight=positive)
    torch.testing.assert_close(loss(output, labels), expected)


def test_nothing_to_weigh() -> None:
    task = SequenceClassification(["value"], REGRESSION)
    assert SequenceClassification(["a", "b"], SINGLE_LABEL).loss_function(records(["a", "b"])) is None
    with pytest.raises(NysformerError, match="class_weights: a regression has no classes to weigh"):
        task.loss_function(records([1.0]), "sqrt")
