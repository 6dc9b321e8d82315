"""The cost tables of docs/speed.md, made from the newest result files of all machines: no figure is typed by hand."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.machine import describe_machine, identity
from benchmarks.results import Result, newest_results, number
from nysformer.errors import NysformerError

__all__ = ["comparison_table"]

_OURS = (
    "nysformer float32",
    "nysformer bfloat16",
    "nysformer optimized float32",
    "nysformer optimized bfloat16",
    "nysformer optimized int8",
    "nysformer compiled bfloat16",
)
_PEERS = ("transformers float32", "BERT float32", "BERT bfloat16", "ModernBERT float32")
_FLOORS = ("limit float32", "limit bfloat16")
_PACKED = ("limit, packed float32", "limit, packed bfloat16")
_NAMES = {
    "transformers float32": "transformers' Nyströmformer float32",
    "limit float32": "*the linear layers alone* float32",
    "limit bfloat16": "*the linear layers alone* bfloat16",
    "limit, packed float32": "*the linear layers alone*, packed float32",
    "limit, packed bfloat16": "*the linear layers alone*, packed bfloat16",
}


@dataclass(frozen=True, slots=True, order=True)
class Column:
    """A column of a table; columns stand in the order of their fields.

    Attributes:
        place: of the benchmark it comes from.
        length: in tokens; 0 where there is none.
        unit: what follows each number: "x" or " MiB".
    """

    place: int
    length: int
    title: str
    unit: str = "x"


@dataclass(frozen=True, slots=True)
class Figure:
    """One number of one candidate on one machine."""

    column: Column
    candidate: str
    value: float


Cells = dict[tuple[Column, str], float]  # by column and candidate


def comparison_table(folder: Path) -> str:
    """Markdown: the time to the floor by machine, then ranges over all machines, then the machines.

    Args:
        folder: of the result files.

    Raises:
        NysformerError: no result of `forward` there, or damaged result files.
    """
    # Here, because it names every module of this package.
    from benchmarks.registry import ARENA, BASELINES, BENCHMARKS, DEMO, FOLDS, RECIPES

    results = newest_results(folder, list(_READERS), [*BENCHMARKS, *ARENA, DEMO, BASELINES, RECIPES, *FOLDS])
    machines: dict[tuple[str, ...], list[Result]] = {}
    for result in results:
        machines.setdefault(identity(result.machine), []).append(result)
    forwards = [
        next((result for result in of_machine if result.name == "forward"), None) for of_machine in machines.values()
    ]
    if not any(forwards):
        raise NysformerError(f"{folder}: no result of the benchmark forward; run `python -m benchmarks forward` first")
    _check(results)
    letters = [_letter(index) for index in range(len(machines))]
    figures = [figure for result in results for figure in _READERS[result.name](result)]
    return "\n".join(
        [
            *_floor_table([(letter, forward) for letter, forward in zip(letters, forwards, strict=True) if forward]),
            "",
            *_range_table(figures, len(machines)),
            "",
            *_legend(dict(zip(letters, machines.values(), strict=True))),
        ]
    )


def _floor_table(forwards: Sequence[tuple[str, Result]]) -> Iterator[str]:
    """A cell holds one number per machine, in their order."""
    notes = forwards[0][1].notes
    order = " / ".join(letter for letter, _ in forwards)
    which = f"Each cell lists machines {order}." if len(forwards) > 1 else f"Measured on machine {order}."
    yield (
        f"Time of one document's forward pass through {notes.get('layers', '?')} layers of "
        f"{notes.get('hidden_size', '?')}, divided by the floor: the time of *the linear layers alone* "
        "(`torch.nn.Linear`, same shapes, same precision; bfloat16 for int8). It is below 1 where another product is "
        f"faster than `torch.nn.Linear`'s. {which}"
    )
    yield ""
    ratios = [_by_cell(_to_floor(result)) for _, result in forwards]
    seconds = [_by_cell(_floor_seconds(result)) for _, result in forwards]
    columns = sorted({column for cells in ratios for column, _ in cells})

    def row(title: str, candidate: str, machines: list[Cells], show: Callable[[float], str]) -> tuple[str, list[str]]:
        return title, [_each(machines, column, candidate, show) for column in columns]

    rows = [row(_NAMES.get(name, name), name, ratios, _ratio) for name in (*_OURS, *_PEERS, *_PACKED)]
    rows += [row(f"{_NAMES[name]}, the floor", name, seconds, _time) for name in _FLOORS]
    yield from _markdown("time to the floor", columns, rows)


def _range_table(figures: Sequence[Figure], machines: int) -> Iterator[str]:
    over = (
        f"from the least to the most of {machines} machines; one number where it is the same on all or was measured on "
        "one only"
        if machines > 1
        else "on one machine: other processors give other ratios"
    )
    yield f"Times as fast as transformers' Nyströmformer in float32, and memory above the weights, {over}."
    yield ""
    cells: dict[tuple[Column, str], list[float]] = {}
    for figure in figures:
        cells.setdefault((figure.column, figure.candidate), []).append(figure.value)
    columns = sorted({column for column, _ in cells})
    yield from _markdown(
        "times as fast",
        columns,
        [
            (
                _NAMES.get(candidate, candidate),
                [_range(cells.get((column, candidate), []), column.unit) for column in columns],
            )
            for candidate in (*_OURS, *_PEERS, *_FLOORS)
        ],
    )


def _markdown(corner: str, columns: Sequence[Column], rows: Sequence[tuple[str, list[str]]]) -> Iterator[str]:
    """A row without a cell is left out."""
    yield f"| {corner} | " + " | ".join(column.title for column in columns) + " |"
    yield "|---|" + "---:|" * len(columns)
    for title, cells in rows:
        if any(cells):
            yield f"| {title} | " + " | ".join(cells) + " |"


def _legend(machines: Mapping[str, Sequence[Result]]) -> Iterator[str]:
    yield "Measured by `python -m benchmarks NAME` on:"
    yield ""
    for letter, results in machines.items():
        versions = max(results, key=lambda result: result.date).versions
        packages = ", ".join(
            f"{package} {versions[package]}" for package in ("torch", "transformers") if versions.get(package)
        )
        files = ", ".join(f"{result.name} {result.date} ({result.commit or 'no commit'})" for result in results)
        machine = next((result for result in results if result.name == "forward"), results[0]).machine
        yield f"- {letter}: {'; '.join(filter(None, [describe_machine(machine), packages]))}: {files}"
    yield ""
    yield "Tables by `python -m benchmarks table`."


def _check(results: Sequence[Result]) -> None:
    """Refuse files whose rows cannot be read, one line each."""
    damaged = []
    for result in results:
        readers = [_READERS[result.name], *([_to_floor, _floor_seconds] if result.name == "forward" else [])]
        try:
            for reader in readers:
                list(reader(result))
        except (KeyError, TypeError, ValueError) as error:
            damaged.append(
                f"{result.path}: not what `python -m benchmarks {result.name}` writes ({error}); run it again or "
                "remove the file"
            )
    if damaged:
        raise NysformerError("\n".join(damaged))


def _to_floor(result: Result) -> Iterator[Figure]:
    for row in result.rows:
        yield Figure(_tokens(row), _candidate(row), number(row, "to_limit"))


def _floor_seconds(result: Result) -> Iterator[Figure]:
    for row in result.rows:
        yield Figure(_tokens(row), _candidate(row), number(row, "wall_s"))


def _forward(result: Result) -> Iterator[Figure]:
    for row in result.rows:
        if row["faster_than_transformers"] is not None:
            yield Figure(_tokens(row), _candidate(row), number(row, "faster_than_transformers"))


def _corpus(result: Result) -> Iterator[Figure]:
    column = Column(1, 0, "licence texts")
    for row in result.rows:
        yield Figure(column, _candidate(row), number(row, "faster_than_transformers"))


def _train(result: Result) -> Iterator[Figure]:
    for row in result.rows:
        length = _length(row)
        faster = Column(2, length, f"training step, {length:,} tokens")
        yield Figure(faster, _candidate(row), number(row, "faster_than_transformers"))
        if row["peak_above_weights_mib"] is not None:
            memory = Column(3, length, f"its memory, {length:,} tokens", " MiB")
            yield Figure(memory, _candidate(row), number(row, "peak_above_weights_mib", zero=True))


def _memory(result: Result) -> Iterator[Figure]:
    longest = max(map(_length, result.rows))
    column = Column(4, longest, f"inference memory, {longest:,} tokens", " MiB")
    for row in result.rows:
        if _length(row) == longest:
            yield Figure(column, _candidate(row), number(row, "peak_above_weights_mib", zero=True))


def _candidate(row: Mapping[str, Any]) -> str:
    if not isinstance(row["candidate"], str):
        raise ValueError(f"candidate is {row['candidate']!r}")
    return row["candidate"]


def _length(row: Mapping[str, Any]) -> int:
    return int(number(row, "length"))


def _tokens(row: Mapping[str, Any]) -> Column:
    length = _length(row)
    return Column(0, length, f"{length:,} tokens")


def _by_cell(figures: Iterable[Figure]) -> Cells:
    return {(figure.column, figure.candidate): figure.value for figure in figures}


def _each(machines: Sequence[Cells], column: Column, candidate: str, show: Callable[[float], str]) -> str:
    """The cell of every machine, "-" for one that has none; nothing if none has it."""
    values = [cells.get((column, candidate)) for cells in machines]
    if all(value is None for value in values):
        return ""
    return " / ".join("-" if value is None else show(value) for value in values)


def _range(values: Sequence[float], unit: str) -> str:
    """From the least to the most, such as 1.7-2.8x."""
    if not values:
        return ""
    least, most = (f"{value:.1f}" if unit == "x" else f"{value:,.0f}" for value in (min(values), max(values)))
    return (least if least == most else f"{least}-{most}") + unit


def _ratio(value: float) -> str:
    return f"{value:.2f}"


def _time(seconds: float) -> str:
    return f"{seconds:.2f} s" if seconds >= 1 else f"{1000 * seconds:.0f} ms"


def _letter(index: int) -> str:
    """A, B, ... Z, AA, AB, ..."""
    before, place = divmod(index, 26)
    return (_letter(before - 1) if before else "") + chr(ord("A") + place)


_READERS: dict[str, Callable[[Result], Iterator[Figure]]] = {
    "forward": _forward,
    "corpus": _corpus,
    "train": _train,
    "memory": _memory,
}
