"""`nysformer predict`: documents in, lines of JSON, CSV or Parquet out."""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nysformer.cli.options import Fixed, filled, flags_of
from nysformer.cli.output import UnknownCount, check_outputs
from nysformer.cli.progress import document_progress
from nysformer.cli.resuming import resume_command, saying_how_to_go_on
from nysformer.cli.wording import in_flags
from nysformer.data.reading import ReadOptions
from nysformer.data.tables import TABLE_FORMATS, TableFormat
from nysformer.errors import NysformerError
from nysformer.inference.options import InferenceOptions
from nysformer.options import (
    Choice,
    Flag,
    Text,
    Texts,
    as_keywords,
    check_options,
    option,
    option_class,
    required,
    whole,
)

if TYPE_CHECKING:
    from nysformer.inference.answers import AnswerRows

__all__ = ["predict"]


@option_class
@dataclass(frozen=True, slots=True, kw_only=True)
class PredictOptions:
    """What answers documents, and what is written."""

    model: str = required(
        Text(), metavar="DIR", help="Model folder, such as `nysformer finetune` or `nysformer demo` writes."
    )
    output: str | None = option(
        None, Text(), metavar="FILE", help="Write there, whole or not at all, instead of standard output."
    )
    format: TableFormat | None = option(
        None,
        Choice(TABLE_FORMATS),
        show_default="by the suffix of `output`, else jsonl",
        help="What to write. csv and parquet: one column per label; parquet needs `output`.",
    )
    keep: tuple[str, ...] = option(
        (),
        Texts(),
        metavar="NAME,NAME,...",
        help="Columns of the input to carry through. One named as an output column gets the prefix input_.",
    )
    top_k: int | None = option(
        None, whole(1), metavar="K", show_default="all", help="Only the K likeliest probabilities, in that order."
    )
    resume: bool = option(
        False, Flag(), help="With `output`: go on with a run that was stopped, given the same documents."
    )
    overwrite: bool = option(False, Flag(), help="With `output`: discard what a run that was stopped has finished.")

    def __post_init__(self) -> None:
        """Refuse what cannot be meant.

        Raises:
            NysformerError: with the field and its value.
        """
        check_options(self)


@filled
def predict(
    sources: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="FILE|FOLDER|-",
            help="Files, folders (every text file below), or - for standard input, which is also read where none is "
            "named.",
            show_default=False,
        ),
    ] = None,
    *,
    options: PredictOptions,
    reading: Annotated[ReadOptions, Fixed(label_column=None, group_column=None, label_from="top")],
    running: InferenceOptions,
) -> None:
    """Answer documents: a document in, a line of JSON out, in order.

    A line has source, line, what the model says, length in tokens before any
    cut, truncated, and unknown: the share of tokens that the vocabulary lacks.
    A model says, by its task: label (or labels, or value) with probabilities;
    entities with label, text, start and end; answer, start and end; choice. Its
    task names the columns it reads, such as context and question. Documents are
    read one at a time, so the input may be larger than memory, and what comes
    slowly through a pipe is answered as it comes.

    With --output every finished row is kept beside the file until it is whole: a
    run that was stopped, even killed, goes on with --resume and the same options
    and documents. A line that is no document is reported on standard error with
    its number and does not stop the rest. Exit code: 0 if all were answered, 1 if some
    lines were bad, 2 for wrong use, such as a folder without a model, 130 after
    Ctrl-C.

    Example: nysformer predict --model runs/demo LICENSE

    Example: zcat mails.jsonl.gz | nysformer predict --model runs/mails > out

    Example: nysformer predict --model runs/mails mails.csv --keep id,title
    --top-k 3 --output answers.parquet
    """
    from nysformer.data.reader import ReadLog, check_columns, read_records
    from nysformer.data.reading import named_layouts
    from nysformer.data.records import RecordError
    from nysformer.data.tables import check_table_format, table_format
    from nysformer.files.atomic import check_output
    from nysformer.inference.answer_file import answer_to_file
    from nysformer.inference.answers import AnswerRows, keep_columns, kept_names
    from nysformer.inference.predict import MOSTLY_UNKNOWN, Predictor, layouts_of
    from nysformer.inference.unfinished import check_unfinished

    if not sources:
        if sys.stdin.isatty():
            raise NysformerError("no documents: name a file or a folder, or pipe JSON Lines into standard input")
        sources = ["-"]
    output = None if options.output is None else Path(options.output)
    form = table_format(output, options.format)
    check_table_format(form)
    check_outputs([output], sources, Path(options.model))
    if output is None and form == "parquet":
        raise NysformerError("format='parquet': Parquet is not written to standard output; give output=FILE")
    if output is not None:
        check_unfinished(output, check_output(output), resume=options.resume, overwrite=options.overwrite)
    elif options.resume or options.overwrite:
        raise NysformerError("resume and overwrite are for a file: give output=FILE, or leave them out")
    names = kept_names(options.keep)
    log = ReadLog()
    layouts = layouts_of(options.model)
    documents = read_records(
        sources, reading, layouts, labelled=False, stdin=sys.stdin.buffer, log=log, columns=bool(names)
    )
    check_columns(sources, reading, names, layouts)
    predictor = Predictor.from_pretrained(options.model, **as_keywords(running))
    own = named_layouts(layouts, reading, labelled=False)
    rows = AnswerRows(predictor.task, keep=names, top_k=options.top_k)
    flags = flags_of(ReadOptions)
    bad = 0
    unknown = UnknownCount()
    items = keep_columns(documents, names, own)
    with document_progress(quiet=output is None and sys.stdout.isatty()) as progress:

        def seen(answer: Any) -> None:
            if isinstance(answer, RecordError):
                progress.report(in_flags(str(answer), flags))
                return
            progress.advance(answer.length)
            if answer.unknown > MOSTLY_UNKNOWN:
                unknown.add(answer.source, answer.line)

        if output is None:
            for answer in _printed(predictor.predict(items), form, rows):
                bad += isinstance(answer, RecordError)
                seen(answer)
        else:
            with saying_how_to_go_on(resume_command("predict", sys.argv[2:])):
                bad = answer_to_file(
                    predictor,
                    items,
                    output,
                    rows,
                    form,
                    settings={"keep": names, "top_k": options.top_k, "dtype": running.dtype},
                    resume=options.resume,
                    overwrite=options.overwrite,
                    seen=seen,
                    resumed=lambda done: progress.report(f"{output}: going on after {done.items:,} documents"),
                ).bad
        for line in log.lines():
            progress.report(line)
    unknown.report()
    if bad:
        raise typer.Exit(1)


def _printed(answers: Iterator[Any], form: TableFormat, rows: "AnswerRows") -> Iterator[Any]:
    """The answers, each of which has been written to standard output."""
    from nysformer.data.records import RecordError
    from nysformer.data.tables import row_writer

    out: Any = sys.stdout
    out.reconfigure(encoding="utf-8", errors="backslashreplace")  # whatever the locale
    shape = rows.nested if form == "jsonl" else rows.flat
    with row_writer(out, form, rows.columns) as write:
        for answer in answers:
            if not isinstance(answer, RecordError):
                write(shape(answer))
            yield answer
