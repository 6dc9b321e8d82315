"""Predictions as rows: nested for JSON Lines, one column per label or per rank for tables."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from nysformer.data.records import Record, RecordError
from nysformer.data.tables import Columns
from nysformer.errors import NysformerError
from nysformer.tasks.base import Answer, Task

__all__ = ["AnswerRows", "keep_columns", "kept_names"]

_PREFIX = "input_"
_ABOUT = ("source", "line", "length", "truncated", "unknown")


def kept_names(wanted: Iterable[str]) -> tuple[str, ...]:
    """The columns to keep, each once, from names that may stand together with commas between.

    Raises:
        NysformerError: an empty name.

    Example:
        >>> kept_names(["id,title", "id"])
        ('id', 'title')
    """
    names = [name.strip() for given in wanted for name in given.split(",")]
    if not all(names):
        raise NysformerError(f"keep: an empty name in {','.join(wanted)!r}; give names with commas between: id,title")
    return tuple(dict.fromkeys(names))


def keep_columns(items: Iterable[Any], keep: Sequence[str], text_column: str) -> Iterator[Any]:
    """Items of a reader; a document whose row lacks a column to keep becomes a `RecordError`.

    Args:
        items: with the columns of their rows.
        keep: names.
        text_column: the one whose content is the text.
    """
    for item in items:
        if not isinstance(item, Record) or not keep:
            yield item
            continue
        columns = {**item.columns, text_column: item.text} if text_column in keep else item.columns
        missing = next((name for name in keep if name not in columns), None)
        if missing is None:
            yield replace(item, columns=columns)
        else:
            known = ", ".join(map(str, item.columns)) or "none"
            reason = f"no column {missing!r} to keep (there are: {known})"
            yield RecordError(item.source, item.line, reason)


class AnswerRows:
    """How the answers of one model become rows.

    Args:
        task: of the model.
        keep: columns of the documents' rows to carry through, between the place and the answer. One named as a column
            of ours gets the prefix "input_".
        top_k: only that many probabilities, the likeliest first; None: all, in the order of the labels.

    Attributes:
        columns: of a flat row.

    Raises:
        NysformerError: `top_k` below 1, or for a model whose answers have no ranked labels; two columns of one name.
    """

    def __init__(self, task: Task[Any, Any], *, keep: Sequence[str] = (), top_k: int | None = None) -> None:
        if top_k is not None and top_k < 1:
            raise NysformerError(f"top_k is {top_k}: give at least 1")
        answer = task.flat_columns(top_k=top_k)
        ours = {*_ABOUT, *task.answer_columns, *answer}
        self._kept = {name: f"{_PREFIX}{name}" if name in ours else name for name in keep}
        taken = [*ours, *self._kept.values()]
        twice = next((name for name in self._kept.values() if taken.count(name) > 1), None)
        if twice is not None:
            raise NysformerError(f"keep: two columns would be named {twice!r}; rename the input's column")
        self._task = task
        self._top_k = top_k
        self.columns: Columns = {
            "source": "text",
            "line": "whole",
            **dict.fromkeys(self._kept.values(), "text"),
            **answer,
            "length": "whole",
            "truncated": "flag",
            "unknown": "number",
        }

    def nested(self, answer: Answer) -> dict[str, Any]:
        """A row for JSON Lines."""
        row = answer.to_dict(top_k=self._top_k)
        place = {name: row.pop(name) for name in ("source", "line")}
        return {**place, **self._kept_from(answer), **row}

    def flat(self, answer: Answer) -> dict[str, Any]:
        """A row for CSV or Parquet, with the cells of `columns`."""
        row = {**answer.to_dict(), **self._kept_from(answer), **self._task.flat(answer, top_k=self._top_k)}
        return {name: row.get(name) for name in self.columns}

    def _kept_from(self, answer: Answer) -> dict[str, object]:
        return {shown: answer.columns.get(name) for name, shown in self._kept.items()}
