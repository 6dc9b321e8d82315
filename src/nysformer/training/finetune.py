"""Fine-tuning of a sequence classifier, from files to a run folder that is a model folder."""

import itertools
import math
import platform
from contextlib import nullcontext
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from rich.console import Console
from sklearn.utils.class_weight import compute_class_weight
from torch.utils.tensorboard import SummaryWriter
from transformers import (
    DataCollatorWithPadding,
    PreTrainedTokenizerBase,
    PrinterCallback,
    TrainerState,
    TrainingArguments,
    set_seed,
)
from transformers.integrations import TensorBoardCallback

from nysformer.data.batches import TokenBudgetBatchSampler
from nysformer.data.quiet import no_progress_bars
from nysformer.errors import NysformerError
from nysformer.inference.load import check_model, load_classifier, load_tokenizer
from nysformer.models import NystromformerForSequenceClassification
from nysformer.ops import ProductBackend, can_pack, product_backend, use_product_backend
from nysformer.training.callbacks import ProgressBar, RunKeeper, history
from nysformer.training.card import CARD, write_run_card
from nysformer.training.corpus import Corpus, build_corpus, read_documents
from nysformer.training.folder import RunFolder
from nysformer.training.memory import returned_memory
from nysformer.training.options import FinetuneOptions, FinetuneResult
from nysformer.training.schedule import Clock, Schedule
from nysformer.training.trainer import Evaluation, TokenBudgetTrainer, weighted_loss

__all__ = ["finetune"]

_DEFAULT_EPOCHS = 3.0
_PACKAGES = ("nysformer", "torch", "transformers", "accelerate", "datasets")


def finetune(options: FinetuneOptions, *, console: Console | None = None) -> FinetuneResult:
    """Fine-tune a Nyströmformer to classify documents; the best checkpoint becomes the model in `options.output`.

    The folder holds `model.safetensors`, `config.json` with the label names, the tokenizer, `metrics.json` (the
    validation documents at the best checkpoint), `history.jsonl` (the training curve), `README.md` (a model card),
    `run.json` (options, versions, documents, outcome), `logs` (TensorBoard) and `checkpoints` (the best and the last,
    to resume from). Every file is whole at any moment: a killed run is taken up with `resume`, one that is complete
    only writes its outcome again.

    Args:
        options: see `FinetuneOptions`.
        console: where progress is shown; None shows none.

    Returns:
        The outcome, as it also stands in `run.json`.

    Raises:
        NysformerError: unusable documents, model, tokenizer, options or run folder, before anything is written; a loss
            that is not finite.

    Example:
        >>> finetune(  # doctest: +SKIP
        ...     FinetuneOptions(model="encoder", train=("train.jsonl",), valid=("valid.jsonl",), output="runs/first")
        ... ).metrics["macro_f1"]
        0.71
    """
    console = console or Console(quiet=True)
    folder = RunFolder(Path(options.output))
    if not options.resume and folder.path.resolve() == Path(options.model).resolve():
        raise NysformerError(f"{folder.path}: both the model to begin with and the output; name another output folder")
    if options.eval_dtype is not None and torch.cuda.is_available():
        raise NysformerError(
            f"eval_dtype {options.eval_dtype} is for a CPU, and this run trains on a GPU; leave it out"
        )
    folder.check(resume=options.resume, overwrite=options.overwrite)
    before = folder.read_json("run.json") if options.resume else None
    if before is not None:
        options.check_resumable(before.get("options", {}))
    last = folder.last_state() if options.resume else None

    source = str(last[0]) if last else options.model
    check_model(source, hub=True)
    tokenizer = load_tokenizer(source)
    documents = read_documents(options)
    set_seed(options.seed)  # of the new head
    model = _model(source, documents.labels, tokenizer)
    corpus = build_corpus(documents, options, tokenizer, model.config.max_position_embeddings)
    if before is not None and before.get("data", {}).get("fingerprint") != corpus.fingerprint:
        raise NysformerError(f"{folder.path}: the documents are not those the run began with; begin a new run")
    for line in corpus.summary():
        console.print(line, highlight=False, soft_wrap=True)

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
        schedule, state = _train(options, folder, corpus, model, tokenizer, last, console)
    return _finish(folder, run, corpus, schedule, state)


def _product(before: dict[str, Any] | None) -> ProductBackend:
    """The float32 product to train with: a resumed run keeps its own, since the two round differently."""
    if before is None:
        return product_backend()
    # Runs from before the choice was recorded all trained with oneDNN where it exists.
    recorded = before.get("versions", {}).get("float32_product", "onednn")
    return "onednn" if recorded == "onednn" and can_pack(torch.float32) else "torch"


def _model(
    source: str, labels: list[str], tokenizer: PreTrainedTokenizerBase
) -> NystromformerForSequenceClassification:
    model = load_classifier(
        source,
        hub=True,
        new_head=True,
        id2label=dict(enumerate(labels)),
        label2id={name: index for index, name in enumerate(labels)},
        problem_type="single_label_classification",
    )
    if len(tokenizer) > model.config.vocab_size:
        raise NysformerError(
            f"{source}: the tokenizer has {len(tokenizer)} tokens and the model only {model.config.vocab_size}; "
            "save the model's own tokenizer beside it"
        )
    return model


def _train(
    options: FinetuneOptions,
    folder: RunFolder,
    corpus: Corpus,
    model: NystromformerForSequenceClassification,
    tokenizer: PreTrainedTokenizerBase,
    last: tuple[Path, dict[str, Any]] | None,
    console: Console,
) -> tuple[Schedule, TrainerState]:
    """Train to the end of the steps or of the time, from the last checkpoint if there is one."""
    budget = options.tokens_per_batch
    train_batches = TokenBudgetBatchSampler(corpus.lengths("train"), budget, seed=options.seed)
    valid_batches = TokenBudgetBatchSampler(corpus.lengths("valid"), budget, shuffle=False)
    schedule = Schedule(
        steps=_steps(options, len(train_batches)),
        warmup_share=options.warmup_share,
        clock=Clock(),
        limit=None if options.time_limit is None else 60.0 * options.time_limit,
    )
    done = 0
    if last is not None:
        state = TrainerState.load_from_json(str(last[0] / "trainer_state.json"))
        schedule.clock.spent = state.log_history[-1]["seconds"]
        done = state.global_step
        if done >= schedule.steps or schedule.time_is_up():
            return schedule, state

    evaluated = list(itertools.chain.from_iterable(valid_batches))
    evaluation = Evaluation([corpus.parts["valid"][index]["length"] for index in evaluated], corpus.labels)
    columns = ["input_ids", "labels"]
    trainer = TokenBudgetTrainer(
        model=model,
        args=_arguments(options, folder, schedule.steps, len(train_batches)),
        train_dataset=corpus.parts["train"].select_columns(columns),
        eval_dataset=corpus.parts["valid"].select_columns(columns),
        train_batches=train_batches,
        eval_batches=valid_batches,
        schedule=schedule,
        eval_dtype=options.eval_dtype,
        data_collator=DataCollatorWithPadding(tokenizer),
        compute_loss_func=_loss(options, corpus),
        compute_metrics=evaluation,
        callbacks=[
            RunKeeper(folder, schedule, evaluation),
            TensorBoardCallback(SummaryWriter(str(folder.logs), purge_step=done + 1)),
        ],
    )
    trainer.remove_callback(PrinterCallback)
    bar = ProgressBar(console, schedule)
    trainer.add_callback(bar)
    memory = returned_memory() if options.gradient_checkpointing else nullcontext()
    with no_progress_bars(), nullcontext() if console.quiet else bar.bar, memory:
        trainer.train(resume_from_checkpoint=str(last[0]) if last else None)
    return schedule, trainer.state


def _steps(options: FinetuneOptions, steps_an_epoch: int) -> int:
    epochs = _DEFAULT_EPOCHS if options.epochs is None and options.max_steps is None else options.epochs
    limits = [] if options.max_steps is None else [options.max_steps]
    return min(limits if epochs is None else [*limits, math.ceil(epochs * steps_an_epoch)])


def _arguments(options: FinetuneOptions, folder: RunFolder, steps: int, steps_an_epoch: int) -> TrainingArguments:
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
        metric_for_best_model=options.best_metric,
        greater_is_better=options.best_metric != "loss",
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
            f"fine-tuning runs in one process, not in {arguments.world_size}; start it without a launcher"
        )
    return arguments


def _loss(options: FinetuneOptions, corpus: Corpus) -> Any:
    """A loss weighed by label, or None for the model's own."""
    if options.class_weights is None:
        return None
    labels = corpus.parts["train"]["labels"][:]
    weights = compute_class_weight("balanced", classes=np.arange(len(corpus.labels)), y=labels)
    return weighted_loss(torch.tensor(weights, dtype=torch.float32))


def _finish(
    folder: RunFolder, run: dict[str, Any], corpus: Corpus, schedule: Schedule, state: TrainerState
) -> FinetuneResult:
    """Make the best checkpoint the model of the folder, and write down how the run ended."""
    best_step = state.best_global_step or state.global_step
    best = f"checkpoints/checkpoint-{best_step}"
    metrics = folder.read_json(f"{best}/metrics.json")
    stopped_by: Literal["steps", "time"] = "steps" if state.global_step >= schedule.steps else "time"
    entries = list(history(state))
    outcome = {
        "best_step": best_step,
        "steps": state.global_step,
        "tokens": state.num_input_tokens_seen,
        "seconds": entries[-1]["seconds"],
        "stopped_by": stopped_by,
    }
    files = folder.publish(folder.path / best)
    folder.write_json("metrics.json", metrics)
    folder.write_lines("history.jsonl", entries)
    write_run_card(folder.path, run, metrics)
    folder.write_json("run.json", {**run, "outcome": outcome, "files": [*files, CARD]})
    return FinetuneResult(output=folder.path, metrics=metrics, truncated=corpus.truncated, **outcome)
