"""Distillation: what a batch holds, what the loss compares, what is measured."""

import numpy as np
import pytest
import torch

from nysformer import NystromformerConfig, NystromformerModel
from nysformer.data.records import Record
from nysformer.errors import NysformerError
from nysformer.models.exact import with_softmax_attention
from nysformer.tasks.base import Example
from nysformer.tasks.distillation import Distillation


@pytest.fixture
def student() -> NystromformerModel:
    torch.manual_seed(0)
    config = NystromformerConfig(
        vocab_size=60,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=64,
        max_position_embeddings=128,
        num_landmarks=8,
        conv_kernel_size=None,
        initializer_range=0.3,
    )
    return NystromformerModel(config).eval()


EXAMPLES = [Example(list(range(3, 53)), targets={"labels": 0}), Example(list(range(4, 34)), targets={"labels": 0})]


def loss_of(task: Distillation, model: NystromformerModel) -> float:
    batch = task.collate(EXAMPLES, 1)
    labels = batch.pop("labels")
    found = task.loss_function(())
    return float(found(model(**batch), labels).detach())


def test_the_teacher_itself_has_no_loss(student: NystromformerModel) -> None:
    teacher = with_softmax_attention(student)
    assert loss_of(Distillation(teacher), teacher) == pytest.approx(0, abs=1e-9)
    assert loss_of(Distillation(teacher), student) > 1e-3
    assert loss_of(Distillation(teacher, vector_weight=50.0), student) > loss_of(Distillation(teacher), student)


@torch.no_grad()
def test_the_loss_by_hand(student: NystromformerModel) -> None:
    teacher = with_softmax_attention(student)
    layers = []
    for layer in (1, 2):
        found, exact = (
            torch.cat(
                [
                    model(torch.tensor([example.input_ids]), output_hidden_states=True)[1][layer][0]
                    for example in EXAMPLES
                ]
            )
            for model in (student, teacher)
        )
        layers.append((found - exact).square().mean() / exact.var(dim=0, correction=0).mean())
    assert loss_of(Distillation(teacher, vector_weight=0.0), student) == pytest.approx(float(sum(layers) / 2), rel=1e-5)


def test_vectors_are_means_over_real_tokens_and_the_teacher_is_asked_once(
    student: NystromformerModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = Distillation(with_softmax_attention(student))
    batch = task.collate(EXAMPLES, 1)
    batch.pop("labels")
    with torch.no_grad():
        outputs = task.outputs(student(**batch), batch, EXAMPLES)
        exact = task.teacher(torch.tensor([EXAMPLES[1].input_ids]))[0][0].mean(dim=0)
        monkeypatch.setattr(task, "_teach", None)
        again = task.outputs(student(**batch), batch, EXAMPLES)
    np.testing.assert_allclose(outputs[1][1], exact.numpy(), rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(outputs, again)


def test_it_is_made_with_a_teacher(student: NystromformerModel) -> None:
    with pytest.raises(NysformerError, match="make it with its teacher"):
        Distillation.from_records([Record("a.txt", None, "a")], {})
    with pytest.raises(NysformerError, match="make it with its teacher"):
        Distillation.from_config(student.config)
