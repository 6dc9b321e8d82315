"""transformers' Trainer with batches by token budget, a schedule that knows the time, and an exact training curve."""

import math
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import datasets
import torch
from torch.utils.data import DataLoader
from transformers import EvalPrediction, Trainer
from transformers.trainer_utils import EvalLoopOutput

from nysformer.data.batches import TokenBudgetBatchSampler
from nysformer.errors import NysformerError
from nysformer.models import NystromformerPreTrainedModel
from nysformer.runtime.precision import Precision, fast_copy
from nysformer.tasks.metrics import classification_metrics
from nysformer.training.schedule import Schedule

__all__ = ["Evaluation", "TokenBudgetTrainer", "weighted_loss"]


class Evaluation:
    """Metrics of the validation documents, each time anew; the last whole table is kept as `latest`.

    Args:
        lengths: tokens of the documents before the cut, in the order in which they are evaluated.
        label_names: in the order of the logits.
    """

    def __init__(self, lengths: Sequence[int], label_names: Sequence[str]) -> None:
        self.lengths = lengths
        self.label_names = label_names
        self.latest: dict[str, Any] = {}

    def __call__(self, prediction: EvalPrediction) -> dict[str, float]:
        logits, targets = torch.as_tensor(prediction.predictions), torch.as_tensor(prediction.label_ids)
        self.latest = classification_metrics(logits, targets, self.lengths, self.label_names)
        return {name: self.latest[name] for name in ("loss", "accuracy", "macro_f1")}


def weighted_loss(weights: torch.Tensor) -> Any:
    """A loss for `Trainer`: cross-entropy, a mean weighed by label; weights (labels,)."""

    def loss(outputs: Any, labels: torch.Tensor, num_items_in_batch: Any = None) -> torch.Tensor:
        return torch.nn.functional.cross_entropy(outputs.logits.float(), labels, weight=weights.to(labels.device))

    return loss


class TokenBudgetTrainer(Trainer):
    """A `Trainer` over tokenized documents.

    Args:
        train_batches: indices of the training documents, a step each.
        eval_batches: indices of the validation documents.
        schedule: of the learning rate.
        eval_dtype: evaluate a copy made for inference, in that precision; None evaluates the model itself.
        kwargs: of `Trainer`; `args.max_steps` is the schedule's.
    """

    def __init__(
        self,
        *,
        train_batches: TokenBudgetBatchSampler,
        eval_batches: TokenBudgetBatchSampler,
        schedule: Schedule,
        eval_dtype: Precision | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        # `Trainer` writes a setting for decoders into every configuration, and checkpoints would carry it.
        vars(self.model.config).pop("use_cache", None)
        self.train_batches = train_batches
        self.eval_batches = eval_batches
        self.schedule = schedule
        self.eval_dtype = eval_dtype
        self._fast: NystromformerPreTrainedModel | None = None  # the copy, while an evaluation runs
        # The loss is a mean over the documents of one batch, and a step is one batch.
        self.model_accepts_loss_kwargs = False

    def get_train_dataloader(self) -> DataLoader[Any]:
        """Shuffled anew each epoch; `Trainer` names the epoch, and skips what a resumed one has behind it."""
        return self._loader(self.train_dataset, self.train_batches)

    def get_eval_dataloader(self, eval_dataset: datasets.Dataset | None = None) -> DataLoader[Any]:
        """The validation documents in order of length."""
        return self._loader(self.eval_dataset, self.eval_batches)

    def evaluation_loop(self, *args: Any, **kwargs: Any) -> EvalLoopOutput:
        """As `Trainer.evaluation_loop`, of the copy in `eval_dtype` where there is one."""
        if self.eval_dtype is None:
            return super().evaluation_loop(*args, **kwargs)
        self._fast = fast_copy(self.model, self.eval_dtype)
        if "forward" in vars(self._fast):
            del self._fast.forward  # accelerate's, which would autocast
        try:
            return super().evaluation_loop(*args, **kwargs)
        finally:
            self._fast = None

    def prediction_step(self, model: torch.nn.Module, *args: Any, **kwargs: Any) -> Any:
        """As `Trainer.prediction_step`, with the copy."""
        return super().prediction_step(self._fast or model, *args, **kwargs)

    def compute_loss_context_manager(self) -> AbstractContextManager[None]:
        """Autocast where it is asked for; the copy has its precision already."""
        return super().compute_loss_context_manager() if self._fast is None else nullcontext()

    def _loader(self, dataset: datasets.Dataset, batches: TokenBudgetBatchSampler) -> DataLoader[Any]:
        loader: DataLoader[Any] = DataLoader(dataset, batch_sampler=batches, collate_fn=self.data_collator)
        return self.accelerator.prepare(loader)

    def create_scheduler(
        self, num_training_steps: int, optimizer: torch.optim.Optimizer | None = None
    ) -> torch.optim.lr_scheduler.LRScheduler:
        """Warm-up and decay by `schedule`, whose progress a checkpoint need not carry: it is the step and the clock."""
        self.lr_scheduler = torch.optim.lr_scheduler.LambdaLR(
            optimizer or self.optimizer, lambda step: self.schedule.factor(step)
        )
        self._created_lr_scheduler = True
        return self.lr_scheduler

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """As `Trainer.log`, with the seconds of the whole run; a loss that is no number ends the run.

        Raises:
            NysformerError: the training loss is infinite or not a number.
        """
        if not math.isfinite(logs.get("loss", 0.0)):
            raise NysformerError(
                f"the training loss is {logs['loss']} at step {self.state.global_step}; begin a new run with a lower "
                "learning rate"
            )
        logs["seconds"] = round(self.schedule.clock.elapsed(), 3)
        super().log(logs)
