"""What the trainer does that transformers' does not: draws by epoch and batch, rates by parameter."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from nysformer.tasks.labels import REGRESSION
from nysformer.tasks.sequence_classification import SequenceClassification
from nysformer.training.finetune import finetune
from nysformer.training.options import FinetuneOptions
from nysformer.training.trainer import TokenBudgetTrainer

Options = Callable[..., FinetuneOptions]


def test_what_a_collator_draws_follows_from_seed_epoch_and_batch(
    options: Options, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[int] = []
    usual = SequenceClassification.collate

    def collate(self: Any, examples: Any, pad_token_id: int, rng: Any = None) -> Any:
        drawn.append(int(rng.integers(2**40)))
        return usual(self, examples, pad_token_id, rng)

    monkeypatch.setattr(SequenceClassification, "collate", collate)
    result = finetune(options(epochs=2, eval_steps=10**6))
    first, drawn[:] = drawn[:], []
    finetune(options(epochs=2, eval_steps=10**6, overwrite=True))
    assert first == drawn
    assert len(set(first[: result.steps])) == result.steps, "another draw for each batch of each epoch"


def test_a_regression_steps_in_the_unit_of_its_labels(options: Options, monkeypatch: pytest.MonkeyPatch) -> None:
    task = SequenceClassification(["value"], REGRESSION, center=1900.0, spread=40.0)
    model = nn.Module()
    model.classifier = nn.Module()
    model.classifier.dense, model.classifier.out_proj = nn.Linear(4, 4), nn.Linear(4, 1)
    optimizer = torch.optim.AdamW(
        [{"params": [model.classifier.dense.weight, model.classifier.out_proj.weight], "weight_decay": 0.01},
         {"params": [model.classifier.dense.bias, model.classifier.out_proj.bias], "weight_decay": 0.0}],
        lr=1e-3,
    )  # fmt: skip
    monkeypatch.setattr("transformers.Trainer.create_optimizer", lambda self: optimizer)
    trainer = TokenBudgetTrainer.__new__(TokenBudgetTrainer)
    trainer.task, trainer.model, trainer.layer_decay = task, model, 1.0
    groups = TokenBudgetTrainer.create_optimizer(trainer).param_groups
    rates = {id(parameter): (group["lr"], group["weight_decay"]) for group in groups for parameter in group["params"]}
    assert rates[id(model.classifier.dense.weight)] == (1e-3, 0.01)
    assert rates[id(model.classifier.out_proj.weight)] == pytest.approx((0.04, 0.00025))
    assert rates[id(model.classifier.out_proj.bias)] == (0.04, 0.0)
    assert len(rates) == 4
    TokenBudgetTrainer.create_optimizer(trainer)
    assert len(optimizer.param_groups) == 4, "once is enough"
