"""Which other tasks rows would fit that lack a column of the task at hand."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from nysformer.data.reading import ReadOptions, named_layouts
from nysformer.errors import MissingColumn, NysformerError
from nysformer.tasks.registry import TASKS, task_class

__all__ = ["fitting_tasks", "naming_fitting_tasks"]


def fitting_tasks(columns: Sequence[str], options: ReadOptions | None = None) -> list[str]:
    """The tasks that labelled rows with these columns are written for: every column of one of its layouts is there.

    A task that learns from the document alone is none of them, since nothing in its rows speaks for it.

    Example:
        >>> fitting_tasks(["tokens", "tags"]), fitting_tasks(["text", "spans", "label"]), fitting_tasks(["text"])
        (['token-classification'], ['sequence-classification', 'token-classification'], [])
    """
    return [name for name in TASKS if _fits(name, set(columns), options or ReadOptions())]


@contextmanager
def naming_fitting_tasks(task: str, options: ReadOptions | None, remedy: str) -> Iterator[None]:
    """Let the error of labelled rows without a column of the task name the tasks that they fit.

    Args:
        task: at hand.
        options: the rows' names of columns.
        remedy: what to do, where "{}" stands for the repr of a task.

    Raises:
        NysformerError: in place of a `MissingColumn`.
    """
    try:
        yield
    except MissingColumn as error:
        found = [name for name in fitting_tasks(error.columns, options) if name != task]
        if not found:
            raise
        remedies = " or ".join(remedy.format(repr(name)) for name in found)
        raise NysformerError(f"{error}; or the columns fit {' and '.join(found)}: {remedies}") from error


def _fits(name: str, columns: set[str], options: ReadOptions) -> bool:
    try:
        layouts = named_layouts(task_class(name).layouts, options)
    except NysformerError:  # the options name columns that the task does not have
        return False
    return any(
        named.target is not None and {named.document, named.target, *named.others} <= columns for named in layouts
    )
