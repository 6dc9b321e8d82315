"""A run, whatever is trained: check and read everything, train from the last checkpoint on, write the model."""

import logging
import platform
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal, Protocol

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

from nysformer.data.batches import DrawnBatchSampler, TokenBudgetBatchSampler
from nysformer.data.quiet import no_progress_bars
from nysformer.errors import NysformerError
from nysformer.files.locks import lock_folder
from nysformer.models import NystromformerPreTrainedModel
from nysformer.ops import ProductBackend, can_pack, product_backend, use_product_backend
from nysformer.tasks.base import LossFunction, Metric, Task
from nysformer.tasks.class_weights import ClassWeights
from nysformer.training.announce import announce
from nysformer.training.arguments import steps_of, training_arguments
from nysformer.training.callbacks import EarlyStopping, ProgressBar, RunKeeper, evaluations_since_best, history
from nysformer.training.card import CARD, write_run_card
from nysformer.training.corpus import Corpus, build_corpus
from nysformer.training.documents import RunDocuments
from nysformer.training.folder import RunFolder
from nysformer.training.memory import returned_memory
from nysformer.training.phases import FinalPhase
from nysformer.training.probe import probe_first
from nysformer.training.resumable import while_reading, while_training
from nysformer.training.schedule import Clock, Schedule
from nysformer.training.settings import TrainingOptions, TrainingResult
from nysformer.training.trainer import Evaluation, TokenBudgetTrainer

__all__ = ["Begin", "Start", "run_training"]

_PACKAGES = ("nysformer", "torch", "transformers", "accelerate", "datasets", "tokenizers")


class Adapt(Protocol):
    """Changes a model's encoder before a run."""

    def __call__(self, model: NystromformerPreTrainedModel, folder: RunFolder, console: Console) -> dict[str, Any]:
        """Train the encoder, or take what an earlier session of the run has done."""


@dataclass(frozen=True, kw_only=True)
class Start:
    """What a run begins with.

    Attributes:
        source: what the model and the tokenizer are called in errors.
        tokenizer: of the model.
        documents: to train on and to measure by.
        load: gives the model, drawing its new weights where it has some, and lines for the user on how it came to be.
        class_weights: of the loss.
        final_whole: share of the run, at its end, that reads whole documents.
        layer_decay: of the learning rate, from a layer to the one below.
        adapt: trains the model's encoder for the documents before the run, whose clock it counts on, and gives what
            `run.json` says of that; None where nothing is to be done.
        last: the model of the last step is kept, whatever it measures; otherwise the best one.
        probe_first: fit the head to the encoder as it stands before the training.
        keep_tokenizer: write the tokenizer into the run folder at once, for a resumption before the first checkpoint.
    """

    source: str
    tokenizer: PreTrainedTokenizerBase
    documents: RunDocuments
    load: Callable[[], tuple[NystromformerPreTrainedModel, Sequence[str]]]
    class_weights: ClassWeights | None = None
    final_whole: float = 0.0
    layer_decay: float = 1.0
    adapt: Adapt | None = None
    last: bool = False
    probe_first: bool = False
    keep_tokenizer: bool = False


class Begin(Protocol):
    """How model, tokenizer and documents of one kind of training come to be."""

    def __call__(self, folder: RunFolder, checkpoint: Path | None) -> Start:
        """Read and check all of it, and write nothing.

        Args:
            folder: of the run.
            checkpoint: a model folder, from which a resumed run goes on; None where it begins.
        """


def run_training(options: TrainingOptions, begin: Begin, console: Console | None = None) -> TrainingResult:
    """Train, and make the best checkpoint the model in `options.output`; see `nysformer.training.finetune.finetune`.

    Args:
        options: of the run.
        begin: gives what it begins with.
        console: where progress is shown; None shows none.

    Raises:
        NysformerError, Interrupted: see there.
    """
    folder = RunFolder(Path(options.output))
    if not options.resume and options.model is not None:
        output, model = folder.path.resolve(), Path(options.model).resolve()
        if model == output or any(model.is_relative_to(output / each.name) for each in folder.models):
            raise NysformerError(
                f"{folder.path}: both the model to begin with and the output; name another output folder"
            )
    if options.eval_dtype is not None and torch.cuda.is_available():
        raise NysformerError(
            f"eval_dtype {options.eval_dtype} is for a CPU, and this run trains on a GPU; leave it out"
        )
    with lock_folder(folder.path), while_reading(folder):
        return _run(options, folder, begin, console or Console(quiet=True))


def _run(options: TrainingOptions, folder: RunFolder, begin: Begin, console: Console) -> TrainingResult:
    """Check and read everything, then write and train."""
    folder.check(resume=options.resume, overwrite=options.overwrite)
    before = folder.read_json("run.json") if options.resume else None
    if before is not None:
        options.check_resumable(before.get("options", {}))
    last = folder.last_state() if options.resume else None

    start = begin(folder, last[0] if last else None)
    tokenizer, documents = start.tokenizer, start.documents
    metric = _best_metric(documents.task, options.best_metric)
    options = replace(options, best_metric=metric.key)
    if before is not None:
        options.check_resumable(before.get("options", {}))
    set_seed(options.seed)  # of new weights
    model, notes = start.load()
    _check_vocabulary(start.source, model, tokenizer)
    corpus = build_corpus(documents, options, tokenizer, model.config.max_position_embeddings, start.final_whole)
    if before is not None and before.get("data", {}).get("fingerprint") != corpus.fingerprint:
        raise NysformerError(f"{folder.path}: the documents are not those the run began with; begin a new run")
    loss = corpus.task.loss_function(corpus.trained, start.class_weights)
    model.config.__dict__.pop("reading", None)  # of an earlier training
    if corpus.reading.strategy != "whole":
        model.config.reading = corpus.reading.as_config(corpus.max_length)
    announce(console, corpus, documents.logs, notes)

    with while_training(folder):
        if options.overwrite:
            folder.clear()
        product = _product(before)
        versions = {"python": platform.python_version()} | {name: version(name) for name in _PACKAGES}
        run: dict[str, Any] = {
            "options": options.as_json(),
            "versions": versions | {"float32_product": product},
            "data": corpus.as_json(),
        }
        if start.adapt is not None and last is not None:
            run["adapted"] = _adapted(before)
        folder.write_json("run.json", run)
        if start.keep_tokenizer:
            folder.keep_tokenizer(tokenizer)
        with use_product_backend(product):
            if start.adapt is not None and last is None:
                run["adapted"] = start.adapt(model, folder, console)
                folder.write_json("run.json", run)
            lead = run["adapted"]["seconds"] if "adapted" in run else 0.0
            schedule, state = _train(options, folder, corpus, loss, model, start, metric, last, lead, console)
        return _finish(options, folder, run, corpus, metric, schedule, state, last=start.last)


def _adapted(before: dict[str, Any] | None) -> dict[str, Any]:
    """What an earlier session wrote down of the adaptation."""
    told = None if before is None else before.get("adapted")
    if not isinstance(told, dict) or not isinstance(told.get("seconds"), float):
        raise NysformerError("run.json: it does not tell of the adaptation that the run began with; begin a new run")
    return told


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
    options: TrainingOptions,
    folder: RunFolder,
    corpus: Corpus,
    loss: LossFunction | None,
    model: NystromformerPreTrainedModel,
    start: Start,
    metric: Metric,
    last: tuple[Path, dict[str, Any]] | None,
    lead: float,
    console: Console,
) -> tuple[Schedule, TrainerState]:
    """Train to the end of the steps or of the time, from the last checkpoint if there is one.

    The run's clock begins at `lead` seconds.
    """
    budget = options.tokens_per_batch
    train_batches = _batches(options, corpus)
    schedule = Schedule(
        steps=steps_of(options, len(train_batches)),
        warmup_share=options.warmup_share,
        clock=Clock(spent=lead, lead=lead),
        limit=None if options.time_limit is None else 60.0 * options.time_limit,
    )
    final = None
    if corpus.whole is not None:
        whole_batches = TokenBudgetBatchSampler(corpus.whole.lengths, budget, seed=options.seed)
        final = FinalPhase(start.final_whole, schedule, whole_batches)
    done = 0
    if last is not None:
        state = TrainerState.load_from_json(str(last[0] / "trainer_state.json"))
        schedule.clock.spent = state.log_history[-1]["seconds"]
        schedule.clock.lead = max(lead, _lead(state))
        if final is not None:
            final.resume(state)
        done = state.global_step
        if done >= schedule.steps or schedule.time_is_up() or _stopped_early(options, metric, state):
            return schedule, state

    evaluation = Evaluation(corpus, budget)
    trainer = TokenBudgetTrainer(
        model=model,
        processing_class=start.tokenizer,  # which checkpoints hold, too
        args=training_arguments(options, folder, metric, schedule.steps, len(train_batches)),
        corpus=corpus,
        train_batches=train_batches,
        final=final,
        evaluation=evaluation,
        schedule=schedule,
        layer_decay=start.layer_decay,
        eval_dtype=options.eval_dtype,
        compute_loss_func=loss,
        callbacks=[RunKeeper(folder, schedule, evaluation), *([] if final is None else [final])],
    )
    trainer.remove_callback(PrinterCallback)
    bar = ProgressBar(console, schedule, corpus.task.metrics)
    trainer.add_callback(bar)
    if options.early_stopping is not None:
        trainer.add_callback(EarlyStopping(options.early_stopping, metric))
    memory = returned_memory() if options.gradient_checkpointing else nullcontext()
    shown = nullcontext() if console.quiet else bar.bar
    with _tensorboard(folder, done) as log, no_progress_bars(), _quiet_checkpoints(), shown, memory:
        trainer.add_callback(log)
        if last is None and start.probe_first:
            schedule.clock.start()
            bar.say(probe_first(trainer, metric, start.class_weights, options.tokens_per_batch, bar.probing))
            trainer.begin()
            schedule.clock.lead = _lead(trainer.state)
            if schedule.steps == 0 or schedule.time_is_up() or _stopped_early(options, metric, trainer.state):
                return schedule, trainer.state
            last = folder.last_state()  # so that the run goes on as one that was killed here
        trainer.train(resume_from_checkpoint=str(last[0]) if last else None)
    return schedule, trainer.state


def _batches(options: TrainingOptions, corpus: Corpus) -> TokenBudgetBatchSampler:
    """Of the examples to train on."""
    lengths, budget = corpus.train.lengths, options.tokens_per_batch
    if options.train_windows is None:
        return TokenBudgetBatchSampler(lengths, budget, seed=options.seed)
    return DrawnBatchSampler(lengths, corpus.parts["train"].pieces, options.train_windows, budget, seed=options.seed)


def _lead(state: TrainerState) -> float:
    """Seconds of a run before its first step, up to the evaluation of step 0; 0 without one."""
    return next((float(entry["seconds"]) for entry in state.log_history if entry["step"] == 0), 0.0)


@contextmanager
def _tensorboard(folder: RunFolder, done: int) -> Iterator[TensorBoardCallback]:
    """Write the curve for TensorBoard too, from step `done` on; what earlier sessions wrote beyond it is dropped."""
    writer = SummaryWriter(str(folder.logs), purge_step=done + 1)
    try:
        yield TensorBoardCallback(writer)
    finally:
        with suppress(OSError):  # the training's own error says that the disk is full
            writer.close()


@contextmanager
def _quiet_checkpoints() -> Iterator[None]:
    """Without transformers' word on file systems whose times are coarse: it then goes by the checkpoints' numbers."""
    logger = logging.getLogger("transformers.trainer_utils")
    logger.addFilter(_not_about_times)
    try:
        yield
    finally:
        logger.removeFilter(_not_about_times)


def _not_about_times(record: logging.LogRecord) -> bool:
    return "mtime may not be reliable" not in record.getMessage()


def _stopped_early(options: TrainingOptions, metric: Metric, state: TrainerState) -> bool:
    patience = options.early_stopping
    return patience is not None and evaluations_since_best(state.log_history, metric) >= patience


def _finish(
    options: TrainingOptions,
    folder: RunFolder,
    run: dict[str, Any],
    corpus: Corpus,
    metric: Metric,
    schedule: Schedule,
    state: TrainerState,
    *,
    last: bool,
) -> TrainingResult:
    """Make the best checkpoint, or the last, the model of the folder, and write down how the run ended."""
    best_step = state.global_step if last or state.best_global_step is None else state.best_global_step
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
    write_run_card(folder.path, corpus.task, run, metrics, last=last)
    folder.write_json("run.json", {**run, "outcome": outcome, "files": [*files, CARD]})
    return TrainingResult(output=folder.path, metrics=metrics, titles=titles, truncated=truncated, **outcome)
