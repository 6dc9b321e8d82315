"""`nysformer embed`: documents in, a file of vectors out."""

import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from nysformer.cli.output import UnknownCount, check_outputs
from nysformer.cli.progress import document_progress
from nysformer.cli.reading import READING_OPTIONS, AllFiles, Delimiter, Encoding, InputFormat, separator
from nysformer.cli.resuming import resume_command, saying_how_to_go_on
from nysformer.cli.wording import in_flags
from nysformer.errors import NysformerError

__all__ = ["embed"]


def embed(
    model: Annotated[
        Path,
        typer.Option(metavar="DIR", help="Model folder: an encoder, a model with any head, or a sentence transformer."),
    ],
    output: Annotated[
        Path,
        typer.Option(
            metavar="FILE",
            help="Parquet file to write, or .npy with the places in a Parquet file beside it. Whole or not at all.",
        ),
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
    pooling: Annotated[
        Literal["mean", "first"] | None,
        typer.Option(
            help="How token vectors become a document's: their mean, or the first one.",
            show_default="as the folder says, else mean",
        ),
    ] = None,
    passages: Annotated[
        str,
        typer.Option(
            metavar="WHAT",
            help="One vector per document (none), per sentence (sentences), or per passage of at most so many tokens "
            "(a number). The document is read first, so that a passage's vector knows its context.",
        ),
    ] = "none",
    no_normalize: Annotated[
        bool, typer.Option("--no-normalize", help="Keep vectors as they are, instead of scaling them to length 1.")
    ] = False,
    keep: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME,NAME,...",
            help="Columns of the input to carry through. One named as an output column gets the prefix input_.",
            show_default=False,
        ),
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
            help="Tokens to read at a time. A longer document is read in overlapping windows.",
            show_default="as many as a converted encoder was trained on; else as the model has positions",
        ),
    ] = None,
    overlap: Annotated[
        float, typer.Option(min=0, max=0.99, metavar="SHARE", help="Of a window, repeated by the next one.")
    ] = 0.25,
    tokens_per_batch: Annotated[int, typer.Option(min=1, metavar="TOKENS", help="Real tokens per batch.")] = 8192,
    dtype: Annotated[
        Literal["float32", "bfloat16", "int8"],
        typer.Option(help="Of weights and arithmetic; int8 is for the CPU, with bfloat16 where the processor has it."),
    ] = "float32",
    device: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="cpu, cuda, cuda:1, mps.", show_default="the first GPU, else the CPU"),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with a run that was stopped, given the same documents.")
    ] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Discard what a run that was stopped has finished.")
    ] = False,
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
    from nysformer.data.reader import ReadLog, ReadOptions, check_columns, read_records
    from nysformer.data.records import RecordError
    from nysformer.inference.answers import keep_columns, kept_names
    from nysformer.inference.embed import Embedder, Embedding
    from nysformer.inference.embed_file import check_unfinished, embed_to_file
    from nysformer.inference.embed_shards import Progress
    from nysformer.inference.predict import MOSTLY_UNKNOWN
    from nysformer.inference.vector_file import places_beside
    from nysformer.tasks.passages import as_passages

    if not sources:
        if sys.stdin.isatty():
            raise NysformerError("no documents: name a file or a folder, or pipe JSON Lines into standard input")
        sources = ["-"]
    check_outputs([output, places_beside(output) if output.suffix.lower() == ".npy" else None], sources, model)
    names = kept_names(keep or ())
    log = ReadLog()
    reading = ReadOptions(
        text_column=text_column,
        label_column=None,
        input_format=None if input_format == "auto" else input_format,
        delimiter=separator(delimiter),
        encoding=encoding,
        all_files=all_files,
    )
    unknown = UnknownCount()
    with (
        saying_how_to_go_on(resume_command("embed", sys.argv[2:])),
        document_progress(quiet=False) as progress,
    ):
        check_unfinished(output, resume=resume, overwrite=overwrite)
        documents = read_records(sources, reading, labelled=False, stdin=sys.stdin.buffer, log=log, columns=bool(names))
        check_columns(sources, reading, names)
        embedder = Embedder.from_pretrained(
            model,
            pooling=pooling,
            passages=as_passages(passages),
            normalize=not no_normalize,
            max_length=max_length,
            overlap=overlap,
            tokens_per_batch=tokens_per_batch,
            dtype=dtype,
            device=device,
        )

        def seen(answer: Embedding | RecordError) -> None:
            if isinstance(answer, RecordError):
                progress.report(in_flags(str(answer), READING_OPTIONS))
                return
            progress.advance(answer.length)
            if answer.unknown > MOSTLY_UNKNOWN:
                unknown.add(answer.source, answer.line)

        def resumed(done: Progress) -> None:
            progress.report(f"{output}: going on after {done.items:,} documents")
            progress.advance(done.tokens, done.items - done.bad)

        done = embed_to_file(
            embedder,
            keep_columns(documents, names, text_column),
            output,
            keep=names,
            resume=resume,
            overwrite=overwrite,
            seen=seen,
            resumed=resumed,
        )
        for line in log.lines():
            progress.report(line)
    unknown.report()
    if done.bad:
        raise typer.Exit(1)
