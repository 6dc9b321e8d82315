"""What happens beside the training: its early ends, checkpoints that can be resumed exactly, and one progress bar."""

import math
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from nysformer.tasks.base import Metric
from nysformer.training.folder import RunFolder
from nysformer.training.schedule import Schedule
from nysformer.training.trainer import Evaluation

__all__ = ["EarlyStopping", "ProgressBar", "RunKeeper", "evaluations_since_best", "history"]

_KEPT = ("loss", "learning_rate", "grad_norm")


def history(state: TrainerState) -> Iterator[dict[str, Any]]:
    """The training curve: `step`, `epoch`, `tokens` and `seconds` so far, and loss and learning rate or evaluation."""
    for entry in state.log_history:
        kept = {name: value for name, value in entry.items() if name in _KEPT or name.startswith("eval_")}
        if kept:
            place = {"step": entry["step"], "epoch": entry["epoch"], "tokens": entry["num_input_tokens_seen"]}
            yield {**place, "seconds": entry["seconds"], **kept}


def evaluations_since_best(log_history: Iterable[Mapping[str, Any]], metric: Metric) -> int:
    """How many evaluations followed the best one; an equal one is not better.

    Args:
        log_history: of the trainer's state.
        metric: that is compared.

    Example:
        >>> history = [{"eval_accuracy": value} for value in (0.5, 0.7, 0.7, 0.6)]
        >>> evaluations_since_best(history, Metric("accuracy", "accuracy"))
        2
    """
    sign = 1 if metric.greater_is_better else -1
    values = [sign * entry[f"eval_{metric.key}"] for entry in log_history if f"eval_{metric.key}" in entry]
    values = [-math.inf if math.isnan(value) else value for value in values]
    return len(values) - 1 - values.index(max(values)) if values else 0


class EarlyStopping(TrainerCallback):
    """Ends a run whose evaluations have not become better for some time.

    It keeps no count: the history, which checkpoints carry, says how long ago the best evaluation was.

    Args:
        patience: evaluations without a better one.
        metric: see `evaluations_since_best`.
    """

    def __init__(self, patience: int, metric: Metric) -> None:
        self.patience = patience
        self.metric = metric

    def on_evaluate(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Stop after the checkpoint of this evaluation."""
        if evaluations_since_best(state.log_history, self.metric) >= self.patience:
            control.should_training_stop = True


class RunKeeper(TrainerCallback):
    """Starts the clock, stops at the time limit, and keeps the run folder in step with the checkpoints."""

    def __init__(self, folder: RunFolder, schedule: Schedule, evaluation: Evaluation) -> None:
        self.folder = folder
        self.schedule = schedule
        self.evaluation = evaluation

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """The time of the run is that of its training, not of reading documents."""
        self.schedule.clock.start()

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> TrainerControl:
        """At the limit: stop, evaluate and save."""
        if self.schedule.time_is_up():
            control.should_training_stop = control.should_evaluate = control.should_save = True
        # A logged loss is the mean since the last one. One that spanned a checkpoint would come out otherwise after a
        # resumption, which knows only the steps from the checkpoint on.
        control.should_log |= control.should_save
        return control

    def on_evaluate(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """The whole table goes where the checkpoint is about to be written, before the file that marks it as whole."""
        self.folder.write_json(f"checkpoints/checkpoint-{state.global_step}/metrics.json", self.evaluation.latest)

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """The curve as far as it can be resumed."""
        self.folder.write_lines("history.jsonl", history(state))


class ProgressBar(TrainerCallback):
    """One bar: how far, how fast in real tokens, how long still; evaluations are lines above it."""

    def __init__(self, console: Console, schedule: Schedule, metrics: Sequence[Metric]) -> None:
        self.schedule = schedule
        self.metrics = metrics
        self.bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TaskProgressColumn(),
            TextColumn("{task.fields[speed]} tokens/s"),
            TextColumn("loss {task.fields[loss]}"),
            TimeRemainingColumn(),
            console=console,
        )
        self.task = self.bar.add_task("training", total=1.0, speed="-", loss="-")
        self._seconds = 0.0
        self._tokens_before = 0
        self._began = 0.0

    def probing(self, share: float) -> None:
        """Show how much of the training documents is read for the linear probe."""
        self.bar.update(self.task, description="fitting the head" if share == 1 else "probing", completed=share)

    def say(self, line: str) -> None:
        """Print a line above the bar."""
        self.bar.console.print(line, highlight=False, soft_wrap=True)

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Show where the run stands."""
        self._tokens_before = state.num_input_tokens_seen
        self.bar.update(self.task, completed=self.schedule.progress(state.global_step))

    def on_step_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """The speed is that of the steps; evaluation and saving do not count."""
        self.bar.update(self.task, description="training")
        self._began = time.monotonic()

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Move on."""
        self._seconds += time.monotonic() - self._began
        speed = (state.num_input_tokens_seen - self._tokens_before) / max(self._seconds, 1e-9)
        self.bar.update(self.task, completed=self.schedule.progress(state.global_step), speed=f"{speed:,.0f}")
        if control.should_evaluate:
            self.bar.update(self.task, description="evaluating")

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, float] | None = None,
        **kwargs: Any,
    ) -> None:
        """Show the loss, or print an evaluation."""
        if logs and "loss" in logs:
            self.bar.update(self.task, loss=f"{logs['loss']:.3f}")
        elif logs and f"eval_{self.metrics[0].key}" in logs:
            values = ", ".join(f"{metric.title} {logs[f'eval_{metric.key}']:.3f}" for metric in self.metrics)
            self.say(f"step {state.global_step:,} (epoch {state.epoch:.2f}): validation {values}")

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Leave the bar as it ends."""
        self.bar.update(self.task, description="trained")
