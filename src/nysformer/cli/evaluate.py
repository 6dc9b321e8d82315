"""`nysformer evaluate`: labelled documents in, a table of metrics out."""

import json
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from nysformer.cli.options import Fixed, filled
from nysformer.cli.output import check_outputs, say_unknown
from nysformer.cli.progress import counted_progress
from nysformer.data.reading import ReadOptions
from nysformer.errors import NysformerError
from nysformer.inference.options import InferenceOptions
from nysformer.options import Flag, Text, as_keywords, check_options, option, option_class, required

__all__ = ["evaluate"]


@option_class
@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluateOptions:
    """What is measured, and where the numbers go."""

    model: str = required(
        Text(), metavar="DIR", help="Model folder, such as `nysformer finetune` or `nysformer demo` writes."
    )
    output: str | None = option(None, Text(), metavar="FILE", help="Write the metrics there, too, as JSON.")
    errors: str | None = option(
        None,
        Text(),
        metavar="FILE",
        help="Write the wrongly answered documents there: source, line, length, what was right and what was answered; "
        "as JSON Lines, or CSV or Parquet by the suffix.",
    )
    compare_reading: bool = option(
        False, Flag(), help="Print every way of reading long documents side by side, with documents per second."
    )

    def __post_init__(self) -> None:
        """Refuse what cannot be meant.

        Raises:
            NysformerError: with the field and its value.
        """
        check_options(self)


@filled
def evaluate(
    sources: Annotated[
        list[str],
        typer.Argument(
            metavar="FILE|FOLDER",
            help="Labelled documents: JSON Lines, CSV, TSV, Parquet, or a folder of text files in folders named by "
            "their label.",
        ),
    ],
    *,
    options: EvaluateOptions,
    reading: Annotated[ReadOptions, Fixed(group_column=None)],
    running: InferenceOptions,
) -> None:
    """Measure a model on labelled documents, by the metrics of its task.

    The task is the model's: sequence classification (accuracy, macro-F1, or
    micro-F1, or RMSE), token classification (entity F1), question answering (F1,
    exact match), multiple choice (accuracy), masked-lm (loss, perplexity). Where
    the task has classes, precision, recall and F1 by class; where it is measured
    by length, by length in tokens, before any cut; for single labels the
    confusion matrix, or with many classes the most frequent confusions. Macro-F1
    is the mean F1 of the classes that occur, among the labels or the predictions.
    Exit code: 0, or 2 for wrong use, such as a label the model does not know.

    Example: nysformer evaluate --model runs/demo test.jsonl --output metrics.json

    Example: nysformer evaluate --model runs/demo test.jsonl --max-length 512
    --compare-reading
    """
    from rich.console import Console

    from nysformer.cli.tables import metric_tables, reading_table
    from nysformer.data.reader import ReadLog
    from nysformer.data.tables import check_table_format, row_writer, table_format
    from nysformer.files.atomic import write_atomically
    from nysformer.inference.evaluate import compare_readings, mistake_columns
    from nysformer.inference.evaluate import evaluate as measure
    from nysformer.inference.predict import Predictor

    if options.compare_reading and (options.errors is not None or running.reading is not None):
        other = "errors" if options.errors is not None else "reading"
        raise NysformerError(
            f"compare_reading: it reads in every way, so {other} has no meaning beside it; leave it out"
        )
    output, errors = (None if name is None else Path(name) for name in (options.output, options.errors))
    form = table_format(errors)
    check_table_format(form)
    check_outputs([output, errors], sources, Path(options.model))
    log = ReadLog()
    with ExitStack() as files:
        file = None if output is None else files.enter_context(write_atomically(output))
        predictor = Predictor.from_pretrained(options.model, **as_keywords(running))
        on_progress = files.enter_context(counted_progress("documents"))
        if options.compare_reading:
            found: dict[str, Any] = compare_readings(predictor, sources, read=reading, log=log, on_progress=on_progress)
        else:
            on_mistake = None
            if errors is not None:
                rows = files.enter_context(write_atomically(errors, binary=form == "parquet"))
                on_mistake = files.enter_context(row_writer(rows, form, mistake_columns(predictor.task)))
            found = measure(
                predictor, sources, read=reading, log=log, on_progress=on_progress, on_mistake=on_mistake
            ) | {"model": options.model}
        if file is not None:
            json.dump(found, file, indent=2, ensure_ascii=False)
            file.write("\n")
    for line in log.lines():
        Console(stderr=True).print(line, markup=False, highlight=False, soft_wrap=True)
    console = Console()
    if options.compare_reading:
        console.print(reading_table(found, predictor.task.metrics, console.width))
        return
    unknown = found["mostly_unknown"]
    if unknown["documents"]:
        say_unknown(unknown["documents"], unknown["first"])
    for table in metric_tables(found, predictor.task.metrics, console.width):
        console.print(table)
