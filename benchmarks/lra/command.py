"""`python -m benchmarks lra-TASK`: train with each attention asked for, keep a result file per run, print the table."""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, get_args

import torch

from benchmarks.bars import at_least
from benchmarks.lra.model import CONVOLUTION, Attention, ModelSize, Pooling
from benchmarks.lra.sequences import Splits
from benchmarks.lra.tasks import TASKS, Task
from benchmarks.lra.training import LEARNING_RATE, Settings, Training
from benchmarks.output import say
from benchmarks.record import Record, check_folder, commit, show_table, write_record
from benchmarks.registry import RESULTS
from nysformer.errors import NysformerError

__all__ = ["main"]

_RUNS = Path("runs/lra")
_DATA_SEED = 0
_PAPER = (
    "other expressions by the same rule; 5,000 steps, learning rate 1e-4, batch 32, mean pooling; softmax without the "
    "convolution"
)
_HELP = """\
Train the paper's small model (2 pre-LayerNorm layers, 64 wide, 2 heads) on a task of the Long Range Arena and test the
weights that were best on the validation split, once. A run that was stopped goes on where its checkpoint says; one that
is finished is not run again. Without --steps, the paper's number; with fewer, the warm-up shrinks alike.

The table also has the accuracy of a rule that knows the first token only: on ListOps, the outer operator.
Softmax attention here keeps the convolution, so that the two runs differ in the attention alone; the paper's has none.

Example: python -m benchmarks lra-listops --attention nystrom --steps 1500 --seed 0
"""


def main(name: str, given: Sequence[str]) -> int:
    """Parse and run.

    Args:
        name: of `TASKS`.
        given: the arguments after it.

    Returns:
        The exit code: 0, or 1 where time was up before the runs were finished.

    Raises:
        NysformerError: an option out of range, a file that cannot be read or written, data that cannot be had.
    """
    arguments = _parser(name).parse_args(given)
    task = TASKS[name]
    check_folder(arguments.output)
    runs = [_settings(task, attention, arguments) for attention in dict.fromkeys(arguments.attention)]
    torch.set_num_threads(arguments.threads)
    say(f"{task.title}: data")
    splits = task.load(arguments.runs / "data", _DATA_SEED)
    say(json.dumps(splits.describe()))
    until = float("inf") if arguments.minutes is None else time.monotonic() + 60 * arguments.minutes
    rows: list[dict[str, Any]] = []
    for settings in runs:
        row = _run(name, settings, splits, arguments, until)
        if row is None:
            print("nysformer: time is up; the same command goes on from the checkpoint", file=sys.stderr, flush=True)
            return 1
        rows.append(row)
    show_table(f"{task.title}: accuracy on the test split, %", rows)
    return 0


def _parser(name: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=f"python -m benchmarks {name}", description=_HELP, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    attentions = get_args(Attention)
    parser.add_argument(
        "--attention", metavar="NAME", nargs="+", choices=attentions, default=list(attentions), help="nystrom, softmax"
    )
    parser.add_argument("--steps", metavar="N", type=int, help=f"of training; {TASKS[name].steps:,} in the paper")
    parser.add_argument("--seed", metavar="N", type=int, default=0, help="of weights, order, dropout; not of the data")
    parser.add_argument(
        "--pretrain-steps", metavar="N", type=int, default=0, help="of filling in hidden tokens, before"
    )
    parser.add_argument("--pooling", choices=get_args(Pooling), default="mean", help="of the last states")
    parser.add_argument("--no-convolution", action="store_true", help="leave it out of both attentions")
    parser.add_argument("--learning-rate", metavar="X", type=float, default=LEARNING_RATE, help="at its highest")
    parser.add_argument("--valid-every", metavar="N", type=int, default=250, help="steps between validations")
    parser.add_argument("--minutes", metavar="N", type=float, help="stop after so long, to go on another time")
    parser.add_argument("--threads", metavar="N", type=int, default=torch.get_num_threads(), help="of PyTorch")
    parser.add_argument("--runs", metavar="DIR", type=Path, default=_RUNS, help="folder of data and checkpoints")
    parser.add_argument("--output", metavar="DIR", type=Path, default=RESULTS, help="folder of the result files")
    return parser


def _settings(task: Task, attention: Attention, arguments: argparse.Namespace) -> Settings:
    steps = task.steps if arguments.steps is None else arguments.steps
    for name, value, least in (
        ("steps", steps, 1),
        ("pretrain_steps", arguments.pretrain_steps, 0),
        ("valid_every", arguments.valid_every, 1),
        ("threads", arguments.threads, 1),
        ("seed", arguments.seed, 0),
    ):
        if value < least:
            raise NysformerError(f"{name} is {value}: at least {least} is needed")
    for name in ("learning_rate", "minutes"):
        value = getattr(arguments, name)
        if value is not None and not 0 < value < float("inf"):
            raise NysformerError(f"{name} is {value}: it is above zero")
    size = ModelSize(
        task.vocabulary,
        task.positions,
        task.classes,
        attention,
        convolution=None if arguments.no_convolution else CONVOLUTION,
        pooling=arguments.pooling,
    )
    return Settings(
        size,
        steps=steps,
        warmup=round(steps * task.warmup / task.steps),
        batch=task.batch,
        learning_rate=arguments.learning_rate,
        seed=arguments.seed,
        pretrain_steps=arguments.pretrain_steps,
        valid_every=arguments.valid_every,
    )


def _run(
    name: str, settings: Settings, splits: Splits, arguments: argparse.Namespace, until: float
) -> dict[str, Any] | None:
    """Train to the end, write the result, give a row of the table; None if time was up."""
    task, attention = TASKS[name], settings.size.attention
    digest = hashlib.sha256(json.dumps(asdict(settings), sort_keys=True).encode()).hexdigest()[:8]
    folder = arguments.runs / f"{name}-{attention}-{settings.steps}-seed{settings.seed}-{digest}"
    say(f"{attention}, {settings.steps:,} steps, seed {settings.seed}: {folder}")
    training = Training(settings, splits, folder / "checkpoint.pt", say=say, commit=commit())
    fresh = training.progress.test is None
    if not training.run(until=until):
        return None
    progress = training.progress
    assert progress.test is not None
    published = task.published.get(attention)
    if fresh:
        notes = {
            "test_accuracy": progress.test,
            "valid_accuracy": progress.best,
            "best_step": progress.best_step,
            "published": published,
            "published_with": _PAPER if task.published else None,
            "seconds": round(progress.seconds, 1),
            "by_first_token": splits.by_first_token(),
            "data": splits.describe(),
            "data_seed": _DATA_SEED,
            "settings": asdict(settings),
            "product": training.product,
        }
        bars = [at_least(f"{task.title}, {attention}: test accuracy", progress.test, published)] if published else []
        record = Record(name, _command(name, settings), progress.curve, notes, bars, commit=progress.commit)
        record.variant = f"{attention}-{digest}"
        write_record(record, arguments.output)
    return {
        "attention": attention,
        "convolution": settings.size.convolution,
        "pooling": settings.size.pooling,
        "pretrain_steps": settings.pretrain_steps,
        "steps": settings.steps,
        "seed": settings.seed,
        "best_step": progress.best_step,
        "validation": f"{progress.best:.2f}",
        "test": f"{progress.test:.2f}",
        "by_first_token": f"{splits.by_first_token():.2f}",
        "paper": None if published is None else f"{published:.2f}",
        "hours": progress.seconds / 3600,
    }


def _command(name: str, settings: Settings) -> str:
    words = [f"python -m benchmarks {name} --attention {settings.size.attention} --steps {settings.steps}"]
    words.append(f"--seed {settings.seed} --valid-every {settings.valid_every}")
    if settings.pretrain_steps:
        words.append(f"--pretrain-steps {settings.pretrain_steps}")
    if settings.size.pooling != "mean":
        words.append(f"--pooling {settings.size.pooling}")
    if settings.size.convolution is None:
        words.append("--no-convolution")
    if settings.learning_rate != LEARNING_RATE:
        words.append(f"--learning-rate {settings.learning_rate}")
    return " ".join(words)
