"""Metrics of any task as tables: the averages, by class, by length, confusions, ways of reading."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from nysformer.cli.output import new_table

if TYPE_CHECKING:
    from rich.table import Table

    from nysformer.tasks.base import Metric

__all__ = ["metric_line", "metric_tables", "reading_table"]

_MATRIX_LABELS = 20
_MATRIX = "rows: class; columns: taken for"
# Columns that the names of a matrix's rows need at least; they are folded.
_LEAST_NAME = 12
_TITLES = {"f1": "F1", "average_precision": "average precision"}


def metric_line(metrics: Mapping[str, Any], titles: Mapping[str, str]) -> str:
    """Metrics on one line, those that have titles.

    Example:
        >>> metric_line({"rmse": 11.7, "documents": 3}, {"rmse": "RMSE"})
        'RMSE 11.700'
    """
    return "  ".join(f"{title} {_number(metrics[name])}" for name, title in titles.items())


def metric_tables(metrics: Mapping[str, Any], shown: "Sequence[Metric]", width: int) -> "Iterator[Table | str]":
    """What a task's measure gives, as tables.

    Args:
        metrics: see `nysformer.inference.evaluate.evaluate`.
        shown: the task's metrics.
        width: columns of the terminal.
    """
    averages = new_table(
        width, "documents", *(metric.title for metric in shown), f"cut at {metrics['max_length']:,} tokens"
    )
    averages.add_row(
        f"{metrics['documents']:,}",
        *(_number(metrics[metric.key]) for metric in shown),
        f"{metrics['truncated']:,}",
    )
    yield averages
    titles = {metric.key: metric.title for metric in shown} | _TITLES
    per_class = metrics.get("per_class")
    if per_class:
        yield _rows("class", ((name, row) for name, row in per_class.items()), titles, width)
    by_length = metrics.get("by_length")
    if by_length:
        rows = ((row["band"], {name: value for name, value in row.items() if name != "band"}) for row in by_length)
        yield _rows("tokens", rows, titles, width)
    if "confusion" in metrics:
        yield from _confusion(metrics["confusion"], width)


def reading_table(found: Mapping[str, Mapping[str, Any]], shown: "Sequence[Metric]", width: int) -> "Table":
    """Ways of reading side by side.

    Args:
        found: see `nysformer.inference.evaluate.compare_readings`.
        shown: the task's metrics.
        width: columns of the terminal.
    """
    table = new_table(width, "reading", *(metric.title for metric in shown), "cut", "documents/s")
    for strategy, metrics in found.items():
        values = (_number(metrics[metric.key]) for metric in shown)
        table.add_row(strategy, *values, f"{metrics['truncated']:,}", f"{metrics['documents_per_second']:,.1f}")
    return table


def _rows(what: str, rows: Any, titles: Mapping[str, str], width: int) -> "Table":
    """A table of rows with the same numbers; counts come first, as whole numbers."""
    from rich.text import Text

    rows = list(rows)
    names = sorted(rows[0][1], key=lambda name: not isinstance(rows[0][1][name], int))
    table = new_table(width, what, *(titles.get(name, name.replace("_", " ")) for name in names))
    for name, row in rows:
        table.add_row(Text(name), *(_number(row[column]) for column in names))
    return table


def _number(value: float | int | None) -> str:
    if value is None:
        return "-"
    return f"{value:,}" if isinstance(value, int) else f"{value:,.3f}"


def _confusion(confusion: Mapping[str, Any], width: int) -> "Iterator[Table | str]":
    """The matrix, if it is small enough to be read; else the most frequent confusions."""
    from rich.table import Table
    from rich.text import Text

    names, counts = confusion["labels"], confusion["counts"]
    if len(names) <= _MATRIX_LABELS:
        columns = [str(number) for number in range(1, len(names) + 1)]
        cells = [[f"{count:,}" if count else "." for count in row] for row in counts]
        numbers = sum(1 + max(len(column), *(len(row[j]) for row in cells)) for j, column in enumerate(columns))
        longest = max(len(f"{number} {name}") for number, name in enumerate(names, start=1))
        if width - numbers >= min(longest, _LEAST_NAME):
            matrix = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False)
            matrix.add_column("", overflow="fold")
            for column in columns:
                matrix.add_column(column, justify="right", no_wrap=True)
            for number, (name, row) in enumerate(zip(names, cells, strict=True), start=1):
                matrix.add_row(Text(f"{number} {name}"), *row)
            yield _MATRIX
            yield matrix
            return
    if confusion["pairs"]:
        pairs = new_table(width, "class", "taken for", "documents")
        for pair in confusion["pairs"][:_MATRIX_LABELS]:
            pairs.add_row(Text(pair["label"]), Text(pair["predicted"]), f"{pair['documents']:,}")
        yield pairs
