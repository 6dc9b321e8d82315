"""A run's options in the terms of transformers' Trainer."""

import math

import torch
from transformers import TrainingArguments

from nysformer.errors import NysformerError
from nysformer.tasks.base import Metric
from nysformer.training.folder import RunFolder
from nysformer.training.settings import TrainingOptions

__all__ = ["steps_of", "training_arguments"]

_DEFAULT_EPOCHS = 3.0


def steps_of(options: TrainingOptions, steps_an_epoch: int) -> int:
    """Optimizer steps of a whole run, where no time limit and no early stopping ends it."""
    epochs = _DEFAULT_EPOCHS if options.epochs is None and options.max_steps is None else options.epochs
    limits = [] if options.max_steps is None else [options.max_steps]
    return min(limits if epochs is None else [*limits, math.ceil(epochs * steps_an_epoch)])


def training_arguments(
    options: TrainingOptions, folder: RunFolder, metric: Metric, steps: int, steps_an_epoch: int
) -> TrainingArguments:
    """The arguments of a run of `steps` steps, whose best checkpoint is chosen by `metric`.

    Raises:
        NysformerError: several processes were started.
    """
    every = options.eval_steps or math.ceil(steps_an_epoch / options.eval_per_epoch)
    arguments = TrainingArguments(
        output_dir=str(folder.checkpoints),
        max_steps=steps,
        learning_rate=options.learning_rate,
        weight_decay=options.weight_decay,
        max_grad_norm=options.max_grad_norm,
        bf16=options.bf16,
        activation_checkpointing=options.gradient_checkpointing,
        use_cpu=not torch.cuda.is_available(),
        seed=options.seed,
        eval_strategy="steps",
        eval_steps=every,
        save_strategy="steps",
        save_steps=every,
        save_total_limit=2,
        metric_for_best_model=metric.key,
        greater_is_better=metric.greater_is_better,
        logging_steps=options.log_every,
        logging_nan_inf_filter=False,
        include_num_input_tokens_seen="non_padding",
        remove_unused_columns=False,
        dataloader_pin_memory=torch.cuda.is_available(),
        disable_tqdm=True,
        report_to="none",
    )
    if arguments.world_size > 1:
        raise NysformerError(
            f"training runs in one process, not in {arguments.world_size}; start it without a launcher"
        )
    return arguments
