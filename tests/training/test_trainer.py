import numpy as np
import pytest
import torch
from transformers import EvalPrediction
from transformers.modeling_outputs import SequenceClassifierOutput

from nysformer.training.trainer import Evaluation, weighted_loss


def test_balanced_weights_make_every_label_count_alike() -> None:
    logits, labels = torch.randn(6, 2), torch.tensor([0, 0, 0, 0, 0, 1])
    weights = torch.tensor([6 / (2 * 5), 6 / (2 * 1)])
    loss = weighted_loss(weights)(SequenceClassifierOutput(logits=logits), labels)
    each = -logits.log_softmax(-1)[torch.arange(6), labels]
    assert loss.item() == pytest.approx((each[:5].mean() + each[5]).item() / 2, rel=1e-5)


def test_evaluation_gives_the_trainer_numbers_and_keeps_the_table() -> None:
    evaluation = Evaluation(lengths=[10, 600, 700], label_names=["a", "b"])
    logits = np.array([[2.0, 0.0], [0.0, 3.0], [1.0, 0.0]])
    scalars = evaluation(EvalPrediction(predictions=logits, label_ids=np.array([0, 1, 1])))
    assert scalars.keys() == {"loss", "accuracy", "macro_f1"}
    assert scalars["accuracy"] == pytest.approx(2 / 3)
    assert [band["accuracy"] for band in evaluation.latest["by_length"]] == [1.0, 0.5]
