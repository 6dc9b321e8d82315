"""Fine-tuning of a sequence classifier, from files to a run folder that is a model folder."""

import platform
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import torch
from rich.console import Console
from torch.utils.tensorboard import SummaryWriter
from transformers import (
    PreTrainedTokenizerBase,
    PrinterCallback,
    TrainerState,
    set_seed,
)
from transformers.integrations import TensorBoardCallback

from nysformer.checkpoints.load import check_model, load_tokenizer
from nysformer.data.batches import TokenBudgetBatchSampler
from nysformer.data.quiet import no_progress_bars
from nysformer.errors import NysformerError
from nysformer.files.locks import lock_folder
from nysformer.models import NystromformerPreTrainedModel
from nysformer.ops import ProductBackend, can_pack, product_backend, use_product_backend
from nysformer.tasks.base import LossFunction, Metric, Task
from nysformer.tasks.registry import task_class
from nysformer.training.announce import announce
from nysformer.training.arguments import steps_of, training_arguments
from nysformer.training.callbacks import EarlyStopping, ProgressBar, RunKeeper, evaluations_since_best, history
from nysformer.training.card import CARD, write_run_card
from nysformer.training.corpus import Corpus, build_corpus, read_documents
from nysformer.training.folder import RunFolder
from nysformer.training.head import load_with_head, read_head
from nysformer.training.memory import returned_memory
from nysformer.training.options import FinetuneOptions, FinetuneResult
from nysformer.training.resumable import while_reading, while_training
from nysformer.training.schedule import Clock, Schedule
from nysformer.training.trainer import Evaluation, TokenBudgetTrainer

__all__ = ["finetune"]

_PACKAGES = ("nysformer", "torch", "transformers", "accelerate", "datasets")


def finetune(
    options: FinetuneOptions | None = None, *, console: Console | None = None, **settings: Any
) -> FinetuneResult:
    """Fine-tune a Nyströmformer for a task on documents; the best checkpoint becomes the model in `options.output`.

    The folder holds `model.safetensors`, `config.json` with the label names, the tokenizer, `metrics.json` (the
    validation documents at the best checkpoint), `history.jsonl` (the training curve), `README.md` (a model card),
    `run.json` (options, versions, documents, outcome), `logs` (TensorBoard) and `checkpoints` (the best and the last,
    to resume from). Every file is whole at any moment: a killed run is resumed with `resume`, one that is complete
    only writes its outcome again. While the run lasts, the folder is locked against other runs.

    Where the model has a trained head for the task and the documents' labels, the run goes on with it, in its order of
    the labels; where it has not, the head is new, and the console says why.

    Args:
        options: see `FinetuneOptions`; None makes them of `settings`.
        console: where progress is shown; None shows none.
        settings: fields of `FinetuneOptions`, or what is to replace those of `options`.

    Returns:
        The outcome, as it also stands in `run.json`.

    Raises:
        NysformerError: unusable documents, model, tokenizer, options or run folder, or another run in that folder,
            before anything is written; a loss that is not finite; a write that failed, with what stands of the run.
        Interrupted: Ctrl-C, with what stands of the run and how to resume it.

    Example:
        >>> finetune(  # doctest: +SKIP
        ...     model="encoder", train="train.jsonl", valid=[{"text": "Dear all,", "label": "letter"}], output="runs/a"
        ... ).metrics["macro_f1"]
        0.71
    """
    options = FinetuneOptions(**settings) if options is None else replace(options, **settings)
    console = console or Console(quiet=True)
    folder = RunFolder(Path(options.output))
    if not options.resume and folder.path.resolve() == Path(options.model).resolve():
        raise NysformerError(f"{folder.path}: both the model to begin with and the output; name another output folder")
    if options.eval_dtype is not None and torch.cuda.is_available():
        raise NysformerError(
            f"eval_dtype {options.eval_dtype} is for a CPU, and this run trains on a GPU; leave it out"
        )
    with lock_folder(folder.path), while_reading(folder):
        return _run(options, folder, console)


def _run(options: FinetuneOptions, folder: RunFolder, console: Console) -> FinetuneResult:
    """Check and read everything, then write and train."""
    folder.check(resume=options.resume, overwrite=options.overwrite)
    before = folder.read_json("run.json") if options.resume else None
    if before is not None:
        options.check_resumable(before.get("options", {}))
    last = folder.last_state() if options.resume else None

    source = str(last[0]) if last else options.model
    check_model(source, hub=True)
    tokenizer = load_tokenizer(source)
    head = read_head(source, task_class(options.task), tokenizer)
    documents = read_documents(options, head.known, tokenizer)
    metric = _best_metric(documents.task, options.best_metric)
    options = replace(options, best_metric=metric.key)
    if before is not None:
        options.check_resumable(before.get("options", {}))
    set_seed(options.seed)  # of the new head
    model, new_head = load_with_head(source, head, documents.task)
    _check_vocabulary(source, model, tokenizer)
    corpus = build_corpus(documents, options, tokenizer, model.config.max_position_embeddings)
    if before is not None and before.get("data", {}).get("fingerprint") != corpus.fingerprint:
        raise NysformerError(f"{folder.path}: the documents are not those the run began with; begin a new run")
    loss = corpus.task.loss_function(corpus.trained, balanced=options.class_weights is not None)
    if corpus.reading.strategy != "whole":
        model.config.reading = corpus.reading.as_config(corpus.max_length)
    announce(console, corpus, documents.logs, new_head)

    with while_training(folder):
        if options.overwrite:
            folder.clear()
        product = _product(before)
        versions = {"python": platform.python_version()} | {name: version(name) for name in _PACKAGES}
        run = {
            "options": options.as_json(),
            "versions": versions | {"float32_product": product},
            "data": corpus.as_json(),
        }
        folder.write_json("run.json", run)
        with use_product_backend(product):
            schedule, state = _train(options, folder, corpus, loss, model, tokenizer, metric, last, console)
        return _finish(options, folder, run, corpus, metric, schedule, state)


def _best_metric(task: Task[Any, Any], key: str | None) -> Metric:
    """The metric of that name; None for the task's first."""
    for metric in task.metrics:
        if key in (None, metric.key):
            return metric
    known = ", ".join(metric.key for metric in task.metrics)
    raise NysformerError(f"best_metric: {task.name} has no {key!r}; choose {known}")


def _product(before: dict[str, Any] | None) -> ProductBackend:
    """The float32 product to train with: a resumed run keeps its own, since the two round differently."""
    if before is None:
        return product_backend()
    # Runs from before the choice was recorded all trained with oneDNN where it exists.
    recorded = before.get("versions", {}).get("float32_product", "onednn")
    return "onednn" if recorded == "onednn" and can_pack(torch.float32) else "torch"


def _check_vocabulary(source: str, model: NystromformerPreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> None:
    if len(tokenizer) > model.config.vocab_size:
        raise NysformerError(
            f"{source}: the tokenizer has {len(tokenizer)} tokens and the model only {model.config.vocab_size}; "
            "save the model's own tokenizer beside it"
        )


def _train(
    options: FinetuneOptions,
    folder: RunFolder,
    corpus: Corpus,
    loss: LossFunction | None,
    model: NystromformerPreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    metric: Metric,
    last: tuple[Path, dict[str, Any]] | None,
    console: Console,
) -> tuple[Schedule, TrainerState]:
    """Train to the end of the steps or of the time, from the last checkpoint if there is one."""
    budget = options.tokens_per_batch
    train_batches = TokenBudgetBatchSampler(corpus.train.lengths, budget, seed=options.seed)
    schedule = Schedule(
        steps=steps_of(options, len(train_batches)),
        warmup_share=options.warmup_share,
        clock=Clock(),
        limit=None if options.time_limit is None else 60.0 * options.time_limit,
    )
    done = 0
    if last is not None:
        state = TrainerState.load_from_json(str(last[0] / "trainer_state.json"))
        schedule.clock.spent = state.log_history[-1]["seconds"]
        done = state.global_step
        if done >= schedule.steps or schedule.time_is_up() or _stopped_early(options, metric, state):
            return schedule, state

    evaluation = Evaluation(corpus, budget)
    trainer = TokenBudgetTrainer(
        model=model,
        processing_class=tokenizer,  # which checkpoints hold, too
        args=training_arguments(options, folder, metric, schedule.steps, len(train_batches)),
        corpus=corpus,
        train_batches=train_batches,
        evaluation=evaluation,
        schedule=schedule,
        eval_dtype=options.eval_dtype,
        compute_loss_func=loss,
        callbacks=[RunKeeper(folder, schedule, evaluation)],
    )
    trainer.remove_callback(PrinterCallback)
    bar = ProgressBar(console, schedule, corpus.task.metrics)
    trainer.add_callback(bar)
    if options.early_stopping is not None:
        trainer.add_callback(EarlyStopping(options.early_stopping, metric))
    memory = returned_memory() if options.gradient_checkpointing else nullcontext()
    with _tensorboard(folder, done) as log, no_progress_bars(), nullcontext() if console.quiet else bar.bar, memory:
        trainer.add_callback(log)
        trainer.train(resume_from_checkpoint=str(last[0]) if last else None)
    return schedule, trainer.state


@contextmanager
def _tensorboard(folder: RunFolder, done: int) -> Iterator[TensorBoardCallback]:
    """Write the curve for TensorBoard too, from step `done` on; what earlier sessions wrote beyond it is dropped."""
    writer = SummaryWriter(str(folder.logs), purge_step=done + 1)
    try:
        yield TensorBoardCallback(writer)
    finally:
        with suppress(OSError):  # the training's own error says that the disk is full
            writer.close()


def _stopped_early(options: FinetuneOptions, metric: Metric, state: TrainerState) -> bool:
    patience = options.early_stopping
    return patience is not None and evaluations_since_best(state.log_history, metric) >= patience


def _finish(
    options: FinetuneOptions,
    folder: RunFolder,
    run: dict[str, Any],
    corpus: Corpus,
    metric: Metric,
    schedule: Schedule,
    state: TrainerState,
) -> FinetuneResult:
    """Make the best checkpoint the model of the folder, and write down how the run ended."""
    best_step = state.best_global_step or state.global_step
    best = f"checkpoints/checkpoint-{best_step}"
    metrics = folder.read_json(f"{best}/metrics.json")
    stopped_by: Literal["steps", "time", "early_stopping"] = "steps"
    if state.global_step < schedule.steps:
        stopped_by = "early_stopping" if _stopped_early(options, metric, state) else "time"
    entries = list(history(state))
    outcome = {
        "best_step": best_step,
        "steps": state.global_step,
        "tokens": state.num_input_tokens_seen,
        "seconds": entries[-1]["seconds"],
        "stopped_by": stopped_by,
    }
    titles = {each.key: each.title for each in corpus.task.metrics}
    truncated = {name: part.truncated for name, part in corpus.parts.items()}
    files = folder.publish(folder.path / best)
    folder.write_json("metrics.json", metrics)
    folder.write_lines("history.jsonl", entries)
    write_run_card(folder.path, corpus.task, run, metrics)
    folder.write_json("run.json", {**run, "outcome": outcome, "files": [*files, CARD]})
    return FinetuneResult(output=folder.path, metrics=metrics, titles=titles, truncated=truncated, **outcome)
