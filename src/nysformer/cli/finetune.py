"""`nysformer finetune`: labelled documents in, a model folder out."""

from collections.abc import Iterable, Iterator
from typing import Any

import typer
from rich.console import Console
from typer.core import TyperCommand

from nysformer.cli.options import filled
from nysformer.cli.resuming import resume_command, saying_how_to_go_on
from nysformer.errors import NysformerError
from nysformer.training.options import FinetuneOptions

__all__ = ["FilesCommand", "finetune"]

_TYPED = "nysformer.typed"


class FilesCommand(TyperCommand):
    """A command without arguments, where several files may follow --train and --valid, as a shell's `*` gives them.

    The command line as it was typed stands in the context's `meta`.
    """

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        ctx.meta[_TYPED] = list(args)
        return super().parse_args(ctx, list(_spread(args)))


def _spread(args: Iterable[str]) -> Iterator[str]:
    """`--train a b` as `--train a --train b`."""
    option, first = "", False
    for arg in args:
        if arg.startswith("-"):
            option, first = arg if arg in ("--train", "--valid") else "", True
        elif option and not first:
            yield option
        else:
            first = False
        yield arg


@filled
def finetune(ctx: typer.Context, *, options: FinetuneOptions) -> None:
    """Fine-tune an encoder for a task on whole documents.

    The run folder becomes a model folder for `nysformer predict` and
    `nysformer evaluate`: weights, configuration with the label names,
    tokenizer. Beside them lie metrics.json (the validation documents at the
    best checkpoint), history.jsonl (the training curve), run.json (options,
    versions, documents, outcome), logs for TensorBoard, and checkpoints (the
    best and the last). A killed run goes on with --resume and the same options.
    Before it trains, the command prints the labels with their documents, and the
    files that were skipped. A model that has these labels already keeps its head.

    Exit code: 0 when the model is written, 2 for wrong use or documents or a full
    disk, 130 after Ctrl-C, which prints the command that goes on.

    Example: nysformer finetune --model encoder --train train.jsonl --valid
    valid.jsonl --output runs/mails --epochs 5 --class-weights balanced
    """
    try:
        from nysformer.cli.tables import metric_line
        from nysformer.training.finetune import finetune as run
    except ModuleNotFoundError as error:
        if str(error.name).startswith("nysformer"):
            raise
        raise NysformerError(f"fine-tuning needs {error.name}; pip install 'nysformer[train]'") from error

    console = Console(stderr=True)
    with saying_how_to_go_on(resume_command("finetune", ctx.meta[_TYPED])):
        result = run(options, console=console)
    end = {
        "time": "at the time limit",
        "early_stopping": f"early, {options.early_stopping} evaluations after the best one,",
        "steps": "at the last step",
    }[result.stopped_by]
    console.print(
        f"stopped {end} after {result.steps:,} steps, {result.tokens:,} tokens, {result.seconds:,.0f} s; "
        f"best checkpoint: step {result.best_step:,}",
        highlight=False,
        soft_wrap=True,
    )
    print(metric_line(result.metrics, result.titles))
    print(f"model: {result.output}")
