"""What commands that train have in common: files after an option, and how a run ended."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import typer
from rich.console import Console
from typer.core import TyperCommand

from nysformer.cli.resuming import resume_command

if TYPE_CHECKING:
    from nysformer.training.settings import TrainingResult

__all__ = ["FilesCommand", "going_on", "say_outcome"]

_TYPED = "nysformer.typed"


class FilesCommand(TyperCommand):
    """A command where several files may follow --train, --text and --valid, as a shell's `*` gives them.

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
            option, first = arg if arg in ("--train", "--text", "--valid") else "", True
        elif option and not first:
            yield option
        else:
            first = False
        yield arg


def going_on(ctx: typer.Context) -> str:
    """The command that goes on with the run of a `FilesCommand`, as it was typed."""
    return resume_command(str(ctx.info_name), ctx.meta[_TYPED])


def say_outcome(result: "TrainingResult", early_stopping: int | None, console: Console) -> None:
    """Print how a run ended on the console, and its metrics and folder on standard output.

    Args:
        result: of the run.
        early_stopping: the option.
        console: on standard error.
    """
    from nysformer.cli.tables import metric_line

    end = {
        "time": "at the time limit",
        "early_stopping": f"early, {early_stopping} evaluations after the best one,",
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
