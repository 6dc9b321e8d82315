"""`nysformer evaluate`: labelled documents in, a table of metrics out."""

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from nysformer.cli.output import check_outputs, new_table, say_unknown
from nysformer.cli.reading import AllFiles, Delimiter, Encoding, LabelFrom, separator

if TYPE_CHECKING:
    from rich.table import Table

__all__ = ["evaluate"]

_MATRIX_LABELS = 20
_MATRIX = "rows: class; columns: taken for"
# Columns that the names of a matrix's rows need at least; they are folded.
_LEAST_NAME = 12


def evaluate(
    model: Annotated[
        Path, typer.Option(metavar="DIR", help="Model folder, such as `nysformer finetune` or `nysformer demo` writes.")
    ],
    sources: Annotated[
        list[str],
        typer.Argument(
            metavar="FILE|FOLDER",
            help="Labelled documents: JSON Lines, CSV, TSV, Parquet, or a folder of text files in folders named by "
            "their label.",
        ),
    ],
    output: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the metrics there, too, as JSON.")] = None,
    errors: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Write the wrongly answered documents there: source, line, label, predicted, probability, length; as "
            "JSON Lines, or CSV or Parquet by the suffix.",
        ),
    ] = None,
    text_column: Annotated[str, typer.Option(metavar="NAME", help="Column or JSON key with the text.")] = "text",
    label_column: Annotated[str, typer.Option(metavar="NAME", help="Column or JSON key with the label.")] = "label",
    delimiter: Delimiter = None,
    encoding: Encoding = None,
    label_from: LabelFrom = "top",
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
    tokens_per_batch: Annotated[int, typer.Option(min=1, metavar="TOKENS", help="Real tokens per batch.")] = 8192,
    dtype: Annotated[
        Literal["float32", "bfloat16", "int8"],
        typer.Option(help="Of weights and arithmetic; int8 is for the CPU, with bfloat16 where the processor has it."),
    ] = "float32",
    device: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="cpu, cuda, cuda:1, mps.", show_default="the first GPU, else the CPU"),
    ] = None,
) -> None:
    """Measure a classifier on labelled documents: accuracy, F1, by length.

    Accuracy and macro-F1 over all documents and by document length; precision,
    recall and F1 by class; the confusion matrix, or with many classes the most
    frequent confusions. Macro-F1 is the mean F1 of the classes that occur, among
    the labels or the predictions. Lengths are in tokens, before any cut.
    Exit code: 0, or 2 for wrong use, such as a label the model does not know.

    Example: nysformer evaluate --model runs/demo test.jsonl --output metrics.json
    """
    from rich.console import Console

    from nysformer.data.reader import ReadLog
    from nysformer.data.tables import check_table_format, row_writer, table_format
    from nysformer.files.atomic import write_atomically
    from nysformer.inference.evaluate import evaluate as measure
    from nysformer.inference.evaluate import mistake_columns
    from nysformer.tasks.labels import SINGLE_LABEL
    from nysformer.tasks.sequence_classification import SequenceClassification

    single_label = SequenceClassification((), SINGLE_LABEL)
    form = table_format(errors)
    check_table_format(form)
    check_outputs([output, errors], sources, model)
    log = ReadLog()
    with ExitStack() as files:
        file = None if output is None else files.enter_context(write_atomically(output))
        on_mistake = None
        if errors is not None:
            rows = files.enter_context(write_atomically(errors, binary=form == "parquet"))
            on_mistake = files.enter_context(row_writer(rows, form, mistake_columns(single_label)))
        on_progress = files.enter_context(_progress())
        metrics = measure(
            model,
            sources,
            text_column=text_column,
            label_column=label_column,
            delimiter=separator(delimiter),
            encoding=encoding,
            label_from=label_from,
            all_files=all_files,
            log=log,
            max_length=max_length,
            tokens_per_batch=tokens_per_batch,
            dtype=dtype,
            device=device,
            on_progress=on_progress,
            on_mistake=on_mistake,
        )
        if file is not None:
            json.dump(metrics, file, indent=2, ensure_ascii=False)
            file.write("\n")
    for line in log.lines():
        Console(stderr=True).print(line, markup=False, highlight=False, soft_wrap=True)
    unknown = metrics["mostly_unknown"]
    if unknown["documents"]:
        say_unknown(unknown["documents"], unknown["first"])
    console = Console()
    for table in [*_tables(metrics, console.width), *_confusion(metrics["confusion"], console.width)]:
        console.print(table)


def _tables(metrics: dict[str, Any], width: int) -> "Iterator[Table]":
    from rich.text import Text

    whole = new_table(width, "documents", "accuracy", "macro-F1", "loss", f"cut at {metrics['max_length']:,} tokens")
    whole.add_row(
        f"{metrics['documents']:,}",
        *(f"{metrics[name]:.3f}" for name in ("accuracy", "macro_f1", "loss")),
        f"{metrics['truncated']:,}",
    )
    yield whole
    by_class = new_table(width, "class", "documents", "precision", "recall", "F1")
    for name, row in metrics["per_class"].items():
        scores = (f"{row[score]:.3f}" for score in ("precision", "recall", "f1"))
        by_class.add_row(Text(name), f"{row['documents']:,}", *scores)
    yield by_class
    by_length = new_table(width, "tokens", "documents", "accuracy", "macro-F1")
    for row in metrics["by_length"]:
        by_length.add_row(row["band"], f"{row['documents']:,}", f"{row['accuracy']:.3f}", f"{row['macro_f1']:.3f}")
    yield by_length


def _confusion(confusion: dict[str, Any], width: int) -> "Iterator[Table | str]":
    """The matrix, if it is small enough to be read; else the most frequent confusions."""
    from rich.table import Table
    from rich.text import Text

    names, counts = confusion["labels"], confusion["counts"]
    if len(names) <= _MATRIX_LABELS:
        columns = [str(number) for number in range(1, len(names) + 1)]
        cells = [[f"{count:,}" if count else "." for count in row] for row in counts]
        numbers = sum(1 + max(len(column), *(len(row[j]) for row in cells)) for j, column in enumerate(columns))
        longest = max(len(f"{number} {name}") for number, name in enumerate(names, start=1))
        if width - numbers >= min(longest, _LEAST_NAME):
            matrix = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False)
            matrix.add_column("", overflow="fold")
            for column in columns:
                matrix.add_column(column, justify="right", no_wrap=True)
            for number, (name, row) in enumerate(zip(names, cells, strict=True), start=1):
                matrix.add_row(Text(f"{number} {name}"), *row)
            yield _MATRIX
            yield matrix
            return
    if confusion["pairs"]:
        pairs = new_table(width, "class", "taken for", "documents")
        for pair in confusion["pairs"][:_MATRIX_LABELS]:
            pairs.add_row(Text(pair["label"]), Text(pair["predicted"]), f"{pair['documents']:,}")
        yield pairs


@contextmanager
def _progress() -> Iterator[Callable[[int, int], None]]:
    """A bar on standard error, where that is a terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (TextColumn("documents"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
