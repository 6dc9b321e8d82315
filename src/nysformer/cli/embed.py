"""`nysformer embed`: documents in, a file of vectors out."""

import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

import typer

from nysformer.cli.documents import DocumentReport, KeepOptions, Sources, going_on, named_sources
from nysformer.cli.options import Fixed, filled
from nysformer.cli.output import check_outputs
from nysformer.cli.progress import document_progress
from nysformer.data.reading import ReadOptions
from nysformer.inference.options import InferenceOptions
from nysformer.options import Choice, Flag, Text, as_keywords, check_options, option, option_class, required

__all__ = ["embed"]


@option_class
@dataclass(frozen=True, slots=True, kw_only=True)
class EmbedOptions:
    """What embeds documents, what a vector stands for, and where the vectors go."""

    model: str = required(
        Text(), metavar="DIR", help="Model folder: an encoder, a model with any head, or a sentence transformer."
    )
    output: str = required(
        Text(),
        metavar="FILE",
        help="Parquet file to write, or .npy with the places in a Parquet file beside it. Whole or not at all.",
    )
    pooling: Literal["mean", "first"] | None = option(
        None,
        Choice(("mean", "first")),
        show_default="as the folder says, else mean",
        help="How token vectors become a document's: their mean, or the first one.",
    )
    passages: str = option(
        "none",
        Text(),
        metavar="WHAT",
        help="One vector per document (none), per sentence (sentences), or per passage of at most so many tokens (a "
        "number). The document is read first, so that a passage's vector knows its context.",
    )
    normalize: bool = option(True, Flag(), help="Scale vectors to length 1.")

    def __post_init__(self) -> None:
        """Refuse what cannot be meant.

        Raises:
            NysformerError: with the field and its value.
        """
        check_options(self)


@filled
def embed(
    sources: Sources = None,
    *,
    options: EmbedOptions,
    keeping: KeepOptions,
    reading: Annotated[ReadOptions, Fixed(label_column=None, columns={}, group_column=None, label_from="top")],
    running: Annotated[InferenceOptions, Fixed(reading=None)],
) -> None:
    """Embed documents: a vector per document or passage, in a Parquet file.

    A row has source, line, the columns to keep, for a passage its characters
    (start, end) and text, and the vector: a list of float32. Documents of any
    length are read whole. They are read one at a time, so the input may be
    larger than memory.

    What is finished is kept beside the output until the file is whole: a run
    that was stopped, even killed, goes on with --resume and the same options
    and documents. A line that is no document is reported on standard error and
    does not stop the rest. Exit code: 0 if all were embedded, 1 if some lines
    were bad, 2 for wrong use, 130 after Ctrl-C, which prints the command that
    goes on.

    Example: nysformer embed --model encoder --output notes.parquet notes/

    Example: nysformer embed --model encoder --passages 128 --output
    passages.parquet mails.jsonl --keep id
    """
    from nysformer.data.reader import ReadLog, check_columns, read_records
    from nysformer.data.reading import TEXT_AND_LABEL, named_layouts
    from nysformer.inference.answers import keep_columns, kept_names
    from nysformer.inference.embed import Embedder
    from nysformer.inference.embed_file import check_unfinished_vectors, embed_to_file
    from nysformer.inference.vector_file import places_beside
    from nysformer.tasks.passages import as_passages

    sources = named_sources(sources)
    model, output = Path(options.model), Path(options.output)
    check_outputs([output, places_beside(output) if output.suffix.lower() == ".npy" else None], sources, model)
    names = kept_names(keeping.keep)
    log = ReadLog()
    with going_on("embed"), document_progress(quiet=False) as progress:
        check_unfinished_vectors(output, resume=keeping.resume, overwrite=keeping.overwrite)
        documents = read_records(sources, reading, labelled=False, stdin=sys.stdin.buffer, log=log, columns=bool(names))
        check_columns(sources, reading, names)
        settings = {name: value for name, value in as_keywords(running).items() if name != "reading"}
        if settings["overlap"] is None:
            del settings["overlap"]
        embedder = Embedder.from_pretrained(
            model,
            pooling=options.pooling,
            passages=as_passages(options.passages),
            normalize=options.normalize,
            **settings,
        )
        report = DocumentReport(progress)
        done = embed_to_file(
            embedder,
            keep_columns(documents, names, named_layouts(TEXT_AND_LABEL, reading, labelled=False)),
            output,
            keep=names,
            resume=keeping.resume,
            overwrite=keeping.overwrite,
            seen=report.seen,
            resumed=partial(report.resumed, output),
        )
        report.read(log)
    report.end()
    if done.bad:
        raise typer.Exit(1)
