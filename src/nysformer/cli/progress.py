"""Progress of commands on standard error: of a stream whose length is not known, or of a known number of things."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["DocumentProgress", "counted_progress", "document_progress"]


class DocumentProgress:
    """Counts on standard error, where that is a terminal; bad lines go there in any case."""

    def __init__(self, bar: Any) -> None:
        self._bar = bar
        self._task = bar.add_task("", total=None, documents=0, tokens=0)
        self._tokens = 0
        self._documents = 0

    def advance(self, tokens: int, documents: int = 1) -> None:
        """Count what was answered."""
        self._documents += documents
        self._tokens += tokens
        self._bar.update(self._task, documents=self._documents, tokens=self._tokens)

    def report(self, line: str) -> None:
        """Print a line."""
        self._bar.console.print(line, markup=False, highlight=False, soft_wrap=True)


@contextmanager
def document_progress(*, quiet: bool) -> Iterator[DocumentProgress]:
    """A line of counts; none where `quiet`, or where standard error is not a terminal."""
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    console = Console(stderr=True)
    columns = (
        SpinnerColumn(),
        TextColumn("{task.fields[documents]:,} documents, {task.fields[tokens]:,} tokens"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, transient=True, disable=quiet or not console.is_terminal) as bar:
        yield DocumentProgress(bar)


@contextmanager
def counted_progress(things: str) -> Iterator[Callable[[int, int], None]]:
    """A bar on standard error, where that is a terminal; it is told how many are done, of how many."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (TextColumn(things), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
