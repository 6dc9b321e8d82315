"""`nysformer predict`: documents in, lines of JSON, CSV or Parquet out."""

import sys
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from nysformer.cli.output import UnknownCount, check_outputs
from nysformer.cli.progress import document_progress
from nysformer.cli.reading import READING_OPTIONS, AllFiles, Delimiter, Encoding, InputFormat, separator
from nysformer.cli.wording import in_flags
from nysformer.errors import NysformerError

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
    format: Annotated[
        Literal["jsonl", "csv", "parquet"] | None,
        typer.Option(
            help="What to write. csv and parquet: one column per label; parquet needs --output.",
            show_default="by the suffix of --output, else jsonl",
        ),
    ] = None,
    keep: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME,NAME,...",
            help="Columns of the input to carry through. One named as an output column gets the prefix input_.",
            show_default=False,
        ),
    ] = None,
    top_k: Annotated[
        int | None,
        typer.Option(min=1, metavar="K", help="Only the K likeliest probabilities, in that order.", show_default="all"),
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
    """Classify documents: a document in, a line of JSON out, in order.

    A line has source, line, label (labels or value, by the kind of model),
    probabilities, length in tokens before any cut, truncated, and unknown: the
    share of tokens that the vocabulary lacks. Documents are read one at a time,
    so the input may be larger than memory, and what comes slowly through a pipe
    is answered as it comes.

    A line that is no document is reported on standard error with its number
    and does not stop the rest. Exit code: 0 if all were classified, 1 if some
    lines were bad, 2 for wrong use, such as a folder without a model.

    Example: nysformer predict --model runs/demo LICENSE

    Example: zcat mails.jsonl.gz | nysformer predict --model runs/mails > out

    Example: nysformer predict --model runs/mails mails.csv --keep id,title
    --top-k 3 --output answers.parquet
    """
    from nysformer.data.reader import ReadLog, ReadOptions, check_columns, read_records
    from nysformer.data.records import RecordError
    from nysformer.data.tables import check_table_format, row_writer, table_format
    from nysformer.files.atomic import write_atomically
    from nysformer.inference.answers import AnswerRows, keep_columns, kept_names
    from nysformer.inference.predict import MOSTLY_UNKNOWN, Predictor

    if not sources:
        if sys.stdin.isatty():
            raise NysformerError("no documents: name a file or a folder, or pipe JSON Lines into standard input")
        sources = ["-"]
    form = table_format(output, format)
    check_table_format(form)
    check_outputs([output], sources, model)
    if output is None and form == "parquet":
        raise NysformerError("--format parquet: Parquet is not written to standard output; give --output FILE")
    names = kept_names(keep or ())
    log = ReadLog()
    reading = ReadOptions(
        text_column=text_column,
        input_format=None if input_format == "auto" else input_format,
        delimiter=separator(delimiter),
        encoding=encoding,
        all_files=all_files,
    )
    documents = read_records(sources, reading, labelled=False, stdin=sys.stdin.buffer, log=log, columns=bool(names))
    check_columns(sources, reading, names)
    predictor = Predictor.from_pretrained(
        model, max_length=max_length, tokens_per_batch=tokens_per_batch, dtype=dtype, device=device
    )
    rows = AnswerRows(predictor.task, keep=names, top_k=top_k)
    shape = rows.nested if form == "jsonl" else rows.flat
    bad = 0
    unknown = UnknownCount()
    with (
        _standard_output() if output is None else write_atomically(output, binary=form == "parquet") as out,
        document_progress(quiet=output is None and sys.stdout.isatty()) as progress,
    ):
        if form != "parquet":
            # UTF-8 whatever the locale; the bytes of a file name that is not become escapes.
            out.reconfigure(encoding="utf-8", errors="backslashreplace")
        with row_writer(out, form, rows.columns) as write:
            for answer in predictor.predict(keep_columns(documents, names, text_column)):
                if isinstance(answer, RecordError):
                    bad += 1
                    progress.report(in_flags(str(answer), READING_OPTIONS))
                else:
                    write(shape(answer))
                    progress.advance(answer.length)
                    if answer.unknown > MOSTLY_UNKNOWN:
                        unknown.add(answer.source, answer.line)
        for line in log.lines():
            progress.report(line)
    unknown.report()
    if bad:
        raise typer.Exit(1)


def _standard_output() -> AbstractContextManager[Any]:
    return nullcontext(sys.stdout)
