"""What the commands share that write what a model makes of documents: their sources, options and reports."""

import sys
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Annotated, Any, TypeAlias

import typer

from nysformer.cli.options import flags_of
from nysformer.cli.output import UnknownCount
from nysformer.cli.progress import DocumentProgress
from nysformer.cli.resuming import resume_command, saying_how_to_go_on
from nysformer.cli.wording import in_flags
from nysformer.data.reading import ReadLog, ReadOptions
from nysformer.data.records import RecordError
from nysformer.errors import NysformerError
from nysformer.options import Flag, Texts, check_options, option, option_class

__all__ = ["DocumentReport", "KeepOptions", "Sources", "going_on", "named_sources"]

Sources: TypeAlias = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="FILE|FOLDER|-",
        help="Files, folders (every text file below), or - for standard input, which is also read where none is named.",
        show_default=False,
    ),
]


@option_class
@dataclass(frozen=True, slots=True, kw_only=True)
class KeepOptions:
    """What is kept: columns of the input, and what a run that was stopped has finished."""

    keep: tuple[str, ...] = option(
        (),
        Texts(),
        metavar="NAME,NAME,...",
        help="Columns of the input to carry through. One named as an output column gets the prefix input_.",
    )
    resume: bool = option(
        False,
        Flag(),
        help="Go on with a run that was stopped on its way to `output`, given the same options and documents.",
    )
    overwrite: bool = option(
        False, Flag(), help="Replace `output` if it exists, and discard what a run that was stopped has finished."
    )

    def __post_init__(self) -> None:
        """Refuse what cannot be meant.

        Raises:
            NysformerError: with the field and its value.
        """
        check_options(self)


def named_sources(sources: list[str] | None) -> list[str]:
    """The sources of a command; standard input where none is named.

    Raises:
        NysformerError: none is named, and standard input is a terminal.
    """
    if sources:
        return sources
    if sys.stdin.isatty():
        raise NysformerError("no documents: name a file or a folder, or pipe JSON Lines into standard input")
    return ["-"]


def going_on(command: str) -> AbstractContextManager[None]:
    """Let what the block raises name this command with --resume, see `saying_how_to_go_on`."""
    return saying_how_to_go_on(resume_command(command, sys.argv[2:]))


class DocumentReport:
    """Says on standard error what became of documents: bad ones as they come, the rest at the end."""

    def __init__(self, progress: DocumentProgress) -> None:
        from nysformer.inference.predict import MOSTLY_UNKNOWN

        self._progress, self._most = progress, MOSTLY_UNKNOWN
        self._flags = flags_of(ReadOptions)
        self._unknown = UnknownCount()

    def seen(self, answer: Any) -> None:
        """Count one more answer, or report a `RecordError`."""
        if isinstance(answer, RecordError):
            self._progress.report(in_flags(str(answer), self._flags))
            return
        self._progress.advance(answer.length)
        if answer.unknown > self._most:
            self._unknown.add(answer.source, answer.line)

    def resumed(self, output: object, done: Any) -> None:
        """Say how far the unfinished run had come."""
        self._progress.report(f"{output}: going on after {done.items:,} documents")
        self._progress.advance(done.tokens, done.items - done.bad)

    def read(self, log: ReadLog) -> None:
        """Report what the reading met."""
        for line in log.lines():
            self._progress.report(line)

    def end(self) -> None:
        """Warn of documents that the model cannot read; once the progress is no longer shown."""
        self._unknown.report()
