"""A run ends early where its evaluations stop getting better, and a resumption knows how long they have not."""

import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from nysformer.tasks.base import Metric
from nysformer.training.callbacks import evaluations_since_best
from nysformer.training.finetune import finetune
from nysformer.training.options import FinetuneOptions
from nysformer.training.trainer import Evaluation, TokenBudgetTrainer

Options = Callable[..., FinetuneOptions]


@pytest.mark.parametrize(
    ("values", "metric", "since"),
    [
        ([], "accuracy", 0),
        ([0.5], "accuracy", 0),
        ([0.5, 0.7, 0.7, 0.6], "accuracy", 2),
        ([0.5, 0.4, 0.7], "macro_f1", 0),
        ([1.0, 0.4, 0.7, 0.4], "loss", 2),
        ([math.nan, 0.4, math.nan], "loss", 1),
        ([math.nan, math.nan], "macro_f1", 1),
    ],
)
def test_evaluations_since_the_best(values: list[float], metric: str, since: int) -> None:
    entries: list[dict[str, Any]] = [{"loss": 1.0, "step": 1}]
    entries += [{f"eval_{metric}": value, "eval_other": 1.0} for value in values]
    assert evaluations_since_best(entries, Metric(metric, metric, greater_is_better=metric != "loss")) == since


@pytest.fixture
def scores(monkeypatch: pytest.MonkeyPatch) -> Callable[[Sequence[float]], None]:
    """Lets the evaluations of a run have these accuracies, one after another."""

    usual = Evaluation.__call__

    def arrange(accuracies: Sequence[float]) -> None:
        left = iter(accuracies)

        def call(self: Evaluation, *args: Any) -> dict[str, float]:
            return usual(self, *args) | {"accuracy": next(left)}

        monkeypatch.setattr(Evaluation, "__call__", call)

    return arrange


RUN = {"best_metric": "accuracy", "eval_steps": 1, "max_steps": 9, "epochs": None}


def test_the_run_ends_after_as_many_evaluations_without_a_better_one(
    options: Options, scores: Callable[[Sequence[float]], None]
) -> None:
    scores([0.1, 0.3, 0.2, 0.3, 0.1, 0.9])
    result = finetune(options(early_stopping=3, **RUN))
    assert (result.steps, result.best_step, result.stopped_by) == (5, 2, "early_stopping")
    assert json.loads((result.output / "run.json").read_bytes())["outcome"]["stopped_by"] == "early_stopping"
    steps = sorted(path.name for path in (result.output / "checkpoints").iterdir())
    assert steps == ["checkpoint-2", "checkpoint-5"], "the best and the last"

    again = finetune(options(early_stopping=3, resume=True, **RUN))
    assert again == result, "a run that has ended only writes its outcome again"
    scores([0.2, 0.9, 0.1, 0.1])
    longer = finetune(options(early_stopping=5, resume=True, **RUN))
    assert (longer.steps, longer.best_step, longer.stopped_by) == (9, 7, "steps")


def test_without_it_and_while_it_gets_better_the_run_goes_on(
    options: Options, scores: Callable[[Sequence[float]], None], tmp_path: Path
) -> None:
    scores([0.9, *([0.1] * 8)])
    assert finetune(options(**RUN)).stopped_by == "steps"
    scores([place / 10 for place in range(9)])
    result = finetune(options(early_stopping=1, output=str(tmp_path / "better"), **RUN))
    assert (result.steps, result.stopped_by) == (9, "steps")


def test_a_resumed_run_ends_where_the_whole_one_does(
    options: Options, scores: Callable[[Sequence[float]], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    accuracies = [0.1, 0.3, 0.2, 0.2, 0.2, 0.9]
    scores(accuracies)
    whole = finetune(options(early_stopping=3, output=str(tmp_path / "whole"), **RUN))
    with monkeypatch.context() as patch:
        step = TokenBudgetTrainer.training_step

        def training_step(self: TokenBudgetTrainer, *args: Any, **kwargs: Any) -> Any:
            if self.state.global_step == 4:
                raise KeyboardInterrupt
            return step(self, *args, **kwargs)

        patch.setattr(TokenBudgetTrainer, "training_step", training_step)
        scores(accuracies)
        with pytest.raises(KeyboardInterrupt):
            finetune(options(early_stopping=3, **RUN))
    scores(accuracies[4:])
    resumed = finetune(options(early_stopping=3, resume=True, **RUN))
    assert (resumed.steps, resumed.best_step, resumed.stopped_by) == (whole.steps, whole.best_step, "early_stopping")


@pytest.mark.parametrize("changes", [{"eval_steps": 10**6}, {"eval_per_epoch": 10**6}, {"log_every": 10**6}], ids=str)
def test_intervals_longer_and_shorter_than_the_run(options: Options, changes: dict[str, Any]) -> None:
    result = finetune(options(max_steps=3, **changes))
    entries = [json.loads(line) for line in (result.output / "history.jsonl").read_text().splitlines()]
    assert result.steps == 3
    assert [entry["step"] for entry in entries if "eval_loss" in entry][-1] == 3, "the last step is evaluated"
    assert [entry["step"] for entry in entries if "loss" in entry][-1] == 3
