"""Gradient accumulation: several batches and one step are one large batch, whatever their numbers of labels."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import Trainer, TrainerCallback, TrainingArguments

Make = Callable[..., Any]
DOCUMENTS = 8
# Labels that count in each document of the token heads: very unequal.
ASKED = (1, 12, 2, 9, 1, 1, 12, 5)


def token_labels(classes: int) -> Tensor:
    labels = torch.randint(classes, (DOCUMENTS, 12), generator=torch.Generator().manual_seed(3))
    for row, asked in zip(labels, ASKED, strict=True):
        row[asked:] = -100
    return labels


def class_labels(*ignored: int) -> Tensor:
    labels = torch.tensor([0, 1, 2, 1, 0, 2, 2, 1])
    labels[list(ignored)] = -100
    return labels


FLOATS = torch.rand(DOCUMENTS, 3, generator=torch.Generator().manual_seed(4))
# Model, configuration, labels.
TASKS: dict[str, tuple[str, dict[str, Any], Callable[[], dict[str, Tensor]]]] = {
    "masked LM": ("ForMaskedLM", {}, lambda: {"labels": token_labels(99)}),
    "tokens": ("ForTokenClassification", {}, lambda: {"labels": token_labels(3)}),
    "single label": ("ForSequenceClassification", {}, lambda: {"labels": class_labels(0, 1, 5)}),
    "multi-label": ("ForSequenceClassification", {}, lambda: {"labels": (FLOATS > 0.5).float()}),
    "regression": ("ForSequenceClassification", {"num_labels": 1}, lambda: {"labels": FLOATS[:, 0]}),
    "regressions": ("ForSequenceClassification", {"problem_type": "regression"}, lambda: {"labels": FLOATS}),
    "choice": ("ForMultipleChoice", {}, lambda: {"labels": class_labels(2, 3, 7)}),
    "question": (
        "ForQuestionAnswering",
        {},
        lambda: {"start_positions": torch.arange(DOCUMENTS), "end_positions": torch.arange(DOCUMENTS) + 3},
    ),
}


def columns(task: str) -> dict[str, Tensor]:
    name, _, labels = TASKS[task]
    shape = (DOCUMENTS, 3, 12) if name == "ForMultipleChoice" else (DOCUMENTS, 12)
    ids = torch.randint(2, 99, shape, generator=torch.Generator().manual_seed(2))
    return {"input_ids": ids, "attention_mask": torch.ones_like(ids), **labels()}


def build(make: Make, task: str) -> Any:
    name, settings, _ = TASKS[task]
    return make(name, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0, **settings)


class Gradients(TrainerCallback):
    """Keeps the gradients of the last step."""

    found: dict[str, Tensor]

    def on_pre_optimizer_step(self, *args: Any, **kwargs: Any) -> None:
        self.found = {name: value.grad.clone() for name, value in kwargs["model"].named_parameters()}


def trained(make: Make, task: str, folder: Path, batch: int) -> tuple[float, dict[str, Tensor]]:
    """Loss and gradients of one step over all documents, in batches of that many."""
    values, seen = columns(task), Gradients()
    trainer = Trainer(
        model=build(make, task),
        args=TrainingArguments(
            str(folder),
            max_steps=1,
            per_device_train_batch_size=batch,
            gradient_accumulation_steps=DOCUMENTS // batch,
            logging_steps=1,
            max_grad_norm=0.0,
            report_to="none",
            disable_tqdm=True,
            use_cpu=True,
            dataloader_pin_memory=False,
            save_strategy="no",
        ),
        train_dataset=[{name: value[row] for name, value in values.items()} for row in range(DOCUMENTS)],
        callbacks=[seen],
    )
    trainer.train()
    return trainer.state.log_history[0]["loss"], seen.found


@pytest.mark.parametrize("task", TASKS)
def test_the_plain_trainer_accumulates_exactly(make: Make, tmp_path: Path, task: str) -> None:
    whole_loss, whole = trained(make, task, tmp_path, DOCUMENTS)
    loss, parts = trained(make, task, tmp_path, 2)
    assert loss == pytest.approx(whole_loss, abs=1e-6)
    largest = max(float(gradient.abs().max()) for gradient in whole.values())
    for name, gradient in whole.items():
        torch.testing.assert_close(parts[name], gradient, rtol=0, atol=1e-6 * max(1.0, largest), msg=name)
    # And that is the plain loss of all documents at once.
    model = build(make, task)
    plain = model(**columns(task)).loss.detach()
    assert whole_loss == pytest.approx(float(plain), abs=1e-4)  # the Trainer logs four digits


def counted(task: str) -> int:
    values = columns(task)
    return int((values.get("labels", values.get("start_positions")) != -100).sum())


@pytest.mark.parametrize("as_tensor", [False, True])
@pytest.mark.parametrize("task", TASKS)
def test_losses_over_a_common_number_add_up(make: Make, task: str, as_tensor: bool) -> None:
    model, values, count = build(make, task), columns(task), counted(task)
    whole = model(**values).loss
    number = torch.tensor(count) if as_tensor else count
    parts = [
        model(**{name: value[start : start + 2] for name, value in values.items()}, num_items_in_batch=number).loss
        for start in range(0, DOCUMENTS, 2)
    ]
    torch.testing.assert_close(sum(parts), whole, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(model(**values, num_items_in_batch=2 * count).loss, whole / 2)


def test_ignored_answers_do_not_count(make: Make) -> None:
    model, values = build(make, "question"), columns("question")
    values["start_positions"][[0, 1, 4]] = 99
    values["end_positions"][[0, 1, 4]] = 99
    parts = [
        model(**{name: value[start : start + 2] for name, value in values.items()}, num_items_in_batch=5).loss
        for start in range(0, DOCUMENTS, 2)
    ]
    torch.testing.assert_close(sum(parts), model(**values).loss, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("number", [0, torch.tensor(0)])
def test_nothing_to_learn_costs_nothing(make: Make, number: Any) -> None:
    values = columns("tokens")
    values["labels"].fill_(-100)
    assert build(make, "tokens")(**values, num_items_in_batch=number).loss == 0


@pytest.mark.parametrize("task", TASKS)
def test_an_unknown_argument_is_an_error(make: Make, task: str) -> None:
    with pytest.raises(TypeError, match="num_items"):
        build(make, task)(**columns(task), num_items=3)
