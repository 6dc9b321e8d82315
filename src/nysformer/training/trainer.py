"""transformers' Trainer with batches by token budget, a schedule that knows the time, and an exact training curve."""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader
from transformers import Trainer

from nysformer.data.batches import TokenBudgetBatchSampler
from nysformer.data.records import RecordError
from nysformer.errors import NysformerError
from nysformer.inference.predict import answer_window
from nysformer.inference.runner import NotFinite, Runner, windows
from nysformer.models import NystromformerPreTrainedModel
from nysformer.runtime.options import Precision
from nysformer.runtime.precision import fast_copy
from nysformer.tasks.base import Example, Task
from nysformer.training.corpus import Corpus
from nysformer.training.layers import layer_scales
from nysformer.training.phases import FinalPhase, NumberedBatches, PlacedExamples
from nysformer.training.schedule import Schedule

__all__ = ["Evaluation", "TokenBudgetTrainer"]

_Context: TypeAlias = Callable[[], AbstractContextManager[Any]]


class Evaluation:
    """Measures a model on the validation documents, each time anew; the last whole table is kept as `latest`.

    Args:
        corpus: whose validation documents are read as its training documents are.
        tokens_per_batch: real tokens per batch.
    """

    def __init__(self, corpus: Corpus, tokens_per_batch: int) -> None:
        self.corpus = corpus
        self.tokens_per_batch = tokens_per_batch
        self.latest: dict[str, Any] = {}

    def __call__(self, model: NystromformerPreTrainedModel, context: _Context = nullcontext) -> dict[str, float]:
        """The metrics of the task.

        Args:
            model: in evaluation mode.
            context: entered around each forward pass, such as autocast.
        """
        corpus, task = self.corpus, self.corpus.task
        runner = Runner(model, task, self.tokens_per_batch, context)
        measure = task.measure()
        for window in windows(iter(corpus.valid), self.tokens_per_batch):
            answers = answer_window(window, task, corpus.encoder, corpus.reading, runner, labelled=True)
            for item in answers:
                assert not isinstance(item, RecordError)
                measure.add(item.record, item.encoding, item.outputs, item.answer)
        self.latest = measure.result()
        return {metric.key: self.latest[metric.key] for metric in task.metrics}


def _collated(
    placed: Sequence[tuple[int, int, Example]], *, task: Task[Any, Any], pad_token_id: int, seed: int
) -> dict[str, Tensor]:
    epoch, batch, _ = placed[0]
    rng = np.random.default_rng((seed, epoch, batch))
    return task.collate([example for _, _, example in placed], pad_token_id, rng)


class TokenBudgetTrainer(Trainer):
    """A `Trainer` over the examples of a task.

    Args:
        corpus: examples to train on, documents to measure by.
        train_batches: indices of the examples, a step each.
        final: where a last phase reads whole documents: when.
        evaluation: measures the model.
        schedule: of the learning rate.
        layer_decay: of the learning rate, from a layer to the one below.
        eval_dtype: evaluate a copy made for inference, in that precision; None evaluates the model itself.
        kwargs: of `Trainer`; `args.max_steps` is the schedule's.
    """

    def __init__(
        self,
        *,
        corpus: Corpus,
        train_batches: TokenBudgetBatchSampler,
        final: FinalPhase | None = None,
        evaluation: Evaluation,
        schedule: Schedule,
        layer_decay: float = 1.0,
        eval_dtype: Precision | None = None,
        **kwargs: Any,
    ) -> None:
        parts = [corpus.train] if corpus.whole is None else [corpus.train, corpus.whole]
        super().__init__(train_dataset=PlacedExamples(*parts), eval_dataset=corpus.valid, **kwargs)
        # `Trainer` writes a setting for decoders into every configuration, and checkpoints would carry it.
        vars(self.model.config).pop("use_cache", None)
        self.corpus = corpus
        self.task = corpus.task
        self.train_batches = train_batches
        self.final = final
        self.evaluation = evaluation
        self.schedule = schedule
        self.layer_decay = layer_decay
        self.eval_dtype = eval_dtype
        # The loss is a mean over the documents of one batch, and a step is one batch.
        self.model_accepts_loss_kwargs = False

    def get_train_dataloader(self) -> DataLoader[Any]:
        """Shuffled anew each epoch; `Trainer` names the epoch, and skips what a resumed one has behind it."""
        collate = partial(
            _collated, task=self.task, pad_token_id=self.model.config.pad_token_id or 0, seed=self.args.seed
        )
        loader: DataLoader[Any] = DataLoader(
            self.train_dataset,
            batch_sampler=NumberedBatches(self.train_batches, len(self.corpus.train), self.final),
            collate_fn=collate,
        )
        return self.accelerator.prepare(loader)

    def evaluate(
        self, eval_dataset: Any = None, ignore_keys: list[str] | None = None, metric_key_prefix: str = "eval"
    ) -> dict[str, float]:
        """Measure the model, or a copy of it in `eval_dtype`, by the task's own metrics.

        Raises:
            NysformerError: the scores are not finite numbers.
        """
        with self.inference_copy() as (model, context):
            found = self.evaluation(model, context)
        metrics = {f"{metric_key_prefix}_{name}": value for name, value in found.items()}
        self.log(metrics)
        control = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)  # type: ignore[has-type]
        self.control = control
        return metrics

    def begin(self) -> None:
        """Measure the model as it is and write that down as the checkpoint of step 0, to train from or to keep."""
        steps = self.args.max_steps
        self._init_training_state(steps, 1, 1, None, None)
        self.state.epoch = 0.0
        self.create_optimizer_and_scheduler(steps)
        self._determine_best_metric(self.evaluate(), None)
        self._save_checkpoint(self.model, None)
        self.control = self.callback_handler.on_save(self.args, self.state, self.control)

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        """As `Trainer`'s, which would not keep a best checkpoint of step 0."""
        if self.state.best_global_step == 0:
            self.state.best_model_checkpoint = f"{self.args.output_dir}/checkpoint-0"
        super()._save_checkpoint(model, trial)

    @contextmanager
    def inference_copy(self) -> Iterator[tuple[NystromformerPreTrainedModel, _Context]]:
        """The model, or a copy of it in `eval_dtype`, in evaluation mode, and what to enter around a forward pass.

        Raises:
            NysformerError: its scores are not finite numbers.
        """
        self.model.eval()
        try:
            if self.eval_dtype is None:
                yield self.model, self.compute_loss_context_manager
            else:
                copy = fast_copy(self.model, self.eval_dtype)
                if "forward" in vars(copy):
                    del copy.forward  # accelerate's, which would autocast
                yield copy, nullcontext
        except NotFinite as error:
            raise NysformerError(
                f"the model's scores are not finite numbers at step {self.state.global_step}; begin a new run with a "
                "lower learning rate"
            ) from error

    def create_optimizer(self, *args: Any, **kwargs: Any) -> torch.optim.Optimizer:
        """As `Trainer.create_optimizer`; parameters with a scale of their own get a group with that learning rate."""
        optimizer: torch.optim.Optimizer = super().create_optimizer(*args, **kwargs)
        scales, depths = self.task.learning_rate_scales(), layer_scales(self.model, self.layer_decay)
        if (scales or depths) and len(optimizer.param_groups) and "scale" not in optimizer.param_groups[0]:
            names = {id(parameter): name for name, parameter in self.model.named_parameters()}
            groups = []
            for group in optimizer.param_groups:
                by_scale: dict[tuple[float, float], list[Tensor]] = {}
                for parameter in group["params"]:
                    name = names[id(parameter)]
                    by_scale.setdefault((scales.get(name, 1.0), depths.get(name, 1.0)), []).append(parameter)
                rest = {name: value for name, value in group.items() if name != "params"}
                for (scale, depth), parameters in by_scale.items():
                    # The decay of a step is the rate times the weight decay. It follows the layer, and not the size
                    # of what the task predicts.
                    scaled = {"lr": rest["lr"] * scale * depth, "weight_decay": rest["weight_decay"] / scale}
                    groups.append({**rest, **scaled, "scale": scale * depth, "params": parameters})
            groups.sort(key=lambda group: group["scale"] != 1.0)  # the first one's rate is logged
            optimizer.param_groups.clear()
            for group in groups:
                optimizer.add_param_group(group)
        return optimizer

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
