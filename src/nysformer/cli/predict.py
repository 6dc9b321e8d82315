"""`nysformer predict`: documents in, lines of JSON out."""

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, cast

import typer

from nysformer.cli.reading import AllFiles, Delimiter, Encoding, InputFormat, separator
from nysformer.errors import NysformerError

if TYPE_CHECKING:
    from nysformer.inference.predict import Prediction

__all__ = ["predict"]


def predict(
    model: Annotated[
        Path, typer.Option(metavar="DIR", help="Model folder, such as `nysformer finetune` or `nysformer demo` writes.")
    ],
    sources: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="FILE|FOLDER|-",
            help="Files, folders (every text file below), or - for standard input, which is also read where none is "
            "named.",
            show_default=False,
        ),
    ] = None,
    output: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write there, whole or not at all, instead of standard output.")
    ] = None,
    text_column: Annotated[str, typer.Option(metavar="NAME", help="Column or JSON key with the text.")] = "text",
    input_format: InputFormat = "auto",
    delimiter: Delimiter = None,
    encoding: Encoding = None,
    all_files: AllFiles = False,
    max_length: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="TOKENS",
            help="The rest of a longer document is cut.",
            show_default="as many as the model has positions",
        ),
    ] = None,
    tokens_per_batch: Annotated[int, typer.Option(min=1, metavar="TOKENS", help="Real tokens a batch.")] = 8192,
    dtype: Annotated[
        Literal["float32", "bfloat16", "int8"],
        typer.Option(help="Of weights and arithmetic; int8 is for the CPU, with bfloat16 where the processor has it."),
    ] = "float32",
    device: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="cpu, cuda, cuda:1, mps.", show_default="the first GPU, else the CPU"),
    ] = None,
) -> None:
    """Classify documents: a document in, a line of JSON out, in order.

    A line has source, line, label (labels or value, by the kind of model),
    probabilities, length in tokens before any cut, and truncated. Documents
    are read one at a time, so the input may be larger than memory, and what
    comes slowly through a pipe is answered as it comes.

    A line that is no document is reported on standard error with its number
    and does not stop the rest. Exit code: 0 if all were classified, 1 if some
    lines were bad, 2 for wrong use, such as a folder without a model.

    Example: nysformer predict --model runs/demo LICENSE

    Example: zcat mails.jsonl.gz | nysformer predict --model runs/mails > out
    """
    from nysformer.data.atomic import write_atomically
    from nysformer.data.reader import ReadLog, ReadOptions, read_records
    from nysformer.data.records import RecordError
    from nysformer.inference.predict import Predictor

    if not sources:
        if sys.stdin.isatty():
            raise NysformerError("no documents: name a file or a folder, or pipe JSON Lines into standard input")
        sources = ["-"]
    log = ReadLog()
    reading = ReadOptions(
        text_column=text_column,
        label_column=None,
        input_format=None if input_format == "auto" else input_format,
        delimiter=separator(delimiter),
        encoding=encoding,
        all_files=all_files,
    )
    documents = read_records(sources, reading, labelled=False, stdin=sys.stdin.buffer, log=log)
    predictor = Predictor.from_pretrained(
        model, max_length=max_length, tokens_per_batch=tokens_per_batch, dtype=dtype, device=device
    )
    bad = 0
    with (
        _standard_output() if output is None else write_atomically(output) as out,
        _progress(quiet=output is None and sys.stdout.isatty()) as progress,
    ):
        # JSON is UTF-8 whatever the locale; the bytes of a file name that is not become JSON's own escapes.
        out.reconfigure(encoding="utf-8", errors="backslashreplace")
        for answer in predictor.predict(documents):
            if isinstance(answer, RecordError):
                bad += 1
                progress.report(str(answer))
            else:
                print(json.dumps(answer.to_dict(), ensure_ascii=False), file=out, flush=True)
                progress.advance(answer)
        for line in log.lines():
            progress.report(line)
    if bad:
        raise typer.Exit(1)


@contextmanager
def _standard_output() -> Iterator[TextIOWrapper]:
    """Standard output; a reader that closes the pipe, such as `head`, ends the command quietly and well."""
    try:
        yield cast(TextIOWrapper, sys.stdout)
    except BrokenPipeError:
        # What the interpreter flushes on its way out must not find the closed pipe again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(0) from None


class _Progress:
    """Counts on standard error, where that is a terminal; bad lines go there in any case."""

    def __init__(self, bar: Any) -> None:
        self._bar = bar
        self._task = bar.add_task("", total=None, documents=0, tokens=0)
        self._tokens = 0
        self._documents = 0

    def advance(self, answer: "Prediction") -> None:
        self._documents += 1
        self._tokens += answer.length
        self._bar.update(self._task, documents=self._documents, tokens=self._tokens)

    def report(self, line: str) -> None:
        self._bar.console.print(line, markup=False, highlight=False, soft_wrap=True)


@contextmanager
def _progress(*, quiet: bool) -> Iterator[_Progress]:
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    console = Console(stderr=True)
    columns = (
        SpinnerColumn(),
        TextColumn("{task.fields[documents]:,} documents, {task.fields[tokens]:,} tokens"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, transient=True, disable=quiet or not console.is_terminal) as bar:
        yield _Progress(bar)
