"""`nysformer predict`: documents in, lines of JSON, CSV or Parquet out."""

import sys
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from nysformer.cli.documents import DocumentReport, KeepOptions, Sources, going_on, named_sources
from nysformer.cli.options import Fixed, filled
from nysformer.cli.output import check_outputs
from nysformer.cli.progress import document_progress
from nysformer.data.reading import ReadOptions
from nysformer.data.tables import TABLE_FORMATS, TableFormat
from nysformer.errors import NysformerError
from nysformer.inference.options import InferenceOptions
from nysformer.options import Choice, Text, as_keywords, check_options, option, option_class, required, whole

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
    top_k: int | None = option(
        None, whole(1), metavar="K", show_default="all", help="Only the K likeliest probabilities, in that order."
    )

    def __post_init__(self) -> None:
        """Refuse what cannot be meant.

        Raises:
            NysformerError: with the field and its value.
        """
        check_options(self)


@filled
def predict(
    sources: Sources = None,
    *,
    options: PredictOptions,
    keeping: KeepOptions,
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

    With --output, what is finished is kept beside the file until that is whole: a
    run that was stopped, even killed, goes on with --resume and the same options
    and documents. A line that is no document is reported on standard error with
    its number and does not stop the rest. Exit code: 0 if all were answered, 1 if
    some lines were bad, 2 for wrong use, such as a folder without a model, 130
    after Ctrl-C, which prints the command that goes on.

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
    from nysformer.inference.answer_file import answer_to_file, written_rows
    from nysformer.inference.answers import AnswerRows, keep_columns, kept_names
    from nysformer.inference.predict import Predictor, layouts_of
    from nysformer.inference.unfinished import check_unfinished

    sources = named_sources(sources)
    output = None if options.output is None else Path(options.output)
    form = table_format(output, options.format)
    check_table_format(form)
    check_outputs([output], sources, Path(options.model))
    if output is None and form == "parquet":
        raise NysformerError("format='parquet': Parquet is not written to standard output; give output=FILE")
    if output is None and (keeping.resume or keeping.overwrite):
        word = "resume" if keeping.resume else "overwrite"
        raise NysformerError(f"{word}=True is for a file; give output=FILE, or leave it out")
    names = kept_names(keeping.keep)
    log = ReadLog()
    with (
        nullcontext() if output is None else going_on("predict"),
        document_progress(quiet=output is None and sys.stdout.isatty()) as progress,
    ):
        if output is not None:
            check_unfinished(output, check_output(output), resume=keeping.resume, overwrite=keeping.overwrite)
        layouts = layouts_of(options.model)
        documents = read_records(
            sources, reading, layouts, labelled=False, stdin=sys.stdin.buffer, log=log, columns=bool(names)
        )
        check_columns(sources, reading, names, layouts)
        predictor = Predictor.from_pretrained(options.model, **as_keywords(running))
        rows = AnswerRows(predictor.task, keep=names, top_k=options.top_k)
        items = keep_columns(documents, names, named_layouts(layouts, reading, labelled=False))
        report = DocumentReport(progress)
        bad = 0
        if output is None:
            out: Any = sys.stdout
            out.reconfigure(encoding="utf-8", errors="backslashreplace")  # whatever the locale
            with written_rows(out, form, rows) as write:
                for answer in predictor.predict(items):
                    write(answer)
                    report.seen(answer)
                    bad += isinstance(answer, RecordError)
        else:
            bad = answer_to_file(
                predictor,
                items,
                output,
                rows,
                form,
                settings={"keep": names, "top_k": options.top_k, "dtype": running.dtype},
                resume=keeping.resume,
                overwrite=keeping.overwrite,
                seen=report.seen,
                resumed=partial(report.resumed, output),
            ).bad
        report.read(log)
    report.end()
    if bad:
        raise typer.Exit(1)
