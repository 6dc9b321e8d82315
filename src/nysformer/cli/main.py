"""The command line: a table of name -> function. Each command parses, calls one function below, and prints."""

import sys

import typer
from rich.console import Console

from nysformer.cli.bench import bench
from nysformer.cli.convert import convert
from nysformer.cli.demo import demo
from nysformer.cli.evaluate import evaluate
from nysformer.cli.export import export
from nysformer.cli.finetune import FilesCommand, finetune
from nysformer.cli.inspect import inspect
from nysformer.cli.predict import predict
from nysformer.errors import NysformerError

app = typer.Typer(
    name="nysformer",
    help="Encode whole documents at linear cost.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
app.command(cls=FilesCommand)(finetune)
app.command()(evaluate)
app.command()(predict)
app.command()(demo)
app.command()(bench)
app.command()(convert)
app.command()(export)
app.command()(inspect)


def main() -> None:
    """Run the command line; a user's mistake is one line on standard error and exit code 2."""
    try:
        app()
    except NysformerError as error:
        Console(stderr=True).print(f"nysformer: {error}", markup=False, highlight=False, soft_wrap=True)
        sys.exit(2)
