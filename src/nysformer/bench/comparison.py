"""README's comparison table, made from the newest result files: no figure in it is typed by hand."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from nysformer.errors import NysformerError

__all__ = ["comparison_table", "newest_results"]

Cells = dict[str, str]

_ROWS = (
    "nysformer float32",
    "nysformer bfloat16",
    "nysformer optimized float32",
    "nysformer optimized bfloat16",
    "nysformer optimized int8",
    "nysformer compiled bfloat16",
    "transformers float32",
    "BERT float32",
    "BERT bfloat16",
    "ModernBERT float32",
    "limit float32",
    "limit bfloat16",
)
_NAMES = {
    "transformers float32": "transformers' Nyströmformer float32",
    "limit float32": "*the linear layers alone* float32",
    "limit bfloat16": "*the linear layers alone* bfloat16",
}


def newest_results(folder: Path) -> dict[str, dict[str, Any]]:
    """The newest file of each benchmark, name -> what it holds; the date in the file's name decides.

    Raises:
        NysformerError: a file that is not a result.
    """
    newest: dict[str, dict[str, Any]] = {}
    for path in sorted(folder.glob("????-??-??-*.json")):
        try:
            result = json.loads(path.read_text(encoding="utf-8"))
            newest[result["name"]] = result
        except (KeyError, TypeError, ValueError) as error:
            raise NysformerError(f"{path}: no result of a benchmark; run it again") from error
    return newest


def comparison_table(folder: Path) -> str:
    """Markdown: a row a candidate, a column a figure; columns of benchmarks that were not run are left out.

    Args:
        folder: of the result files.

    Raises:
        NysformerError: no result of `forward` there.
    """
    results = newest_results(folder)
    if "forward" not in results:
        raise NysformerError(f"{folder}: no result of the benchmark forward; run `nysformer bench forward` first")
    columns: dict[str, Cells] = {}
    for name, read in _READERS.items():
        if name in results:
            columns.update(read(results[name]["rows"]))
    lines = [
        "| | " + " | ".join(columns) + " |",
        "|---|" + "---:|" * len(columns),
    ]
    for row in _ROWS:
        cells = [column.get(row, "") for column in columns.values()]
        if any(cells):
            lines.append(f"| {_NAMES.get(row, row)} | " + " | ".join(cells) + " |")
    used = [results[name] for name in _READERS if name in results]
    lines += ["", *_legend(used)]
    return "\n".join(lines)


def _legend(used: list[dict[str, Any]]) -> Iterator[str]:
    forward = used[0]
    machine, versions = forward["machine"], forward["versions"]
    yield (
        f"{forward['notes']['layers']} layers of {forward['notes']['hidden_size']}; in brackets how many times as "
        f"fast as transformers' Nyströmformer. {machine['torch_threads']} threads, {machine['cpu_capability']}, "
        f"torch {versions['torch']}, transformers {versions['transformers']}."
    )
    files = ", ".join(f"{result['name']} {result['date']} ({result['commit']})" for result in used)
    yield f"Measured by `nysformer bench NAME`: {files}; table by `nysformer bench table`."


def _forward(rows: list[dict[str, Any]]) -> dict[str, Cells]:
    columns: dict[str, Cells] = {}
    for row in rows:
        faster = row["faster_than_transformers"]
        cell = _time(row["wall_s"]) + ("" if faster is None else f" ({faster:.1f}x)")
        columns.setdefault(f"{row['length']:,} tokens", {})[row["candidate"]] = cell
    return columns


def _corpus(rows: list[dict[str, Any]]) -> dict[str, Cells]:
    cells = {}
    for row in rows:
        cells[row["candidate"]] = f"{row['documents_a_second']:.2f} ({row['faster_than_transformers']:.1f}x)"
    return {"licence texts, documents/s": cells}


def _train(rows: list[dict[str, Any]]) -> dict[str, Cells]:
    columns: dict[str, Cells] = {}
    for row in rows:
        length, candidate = f"{row['length']:,} tokens", row["candidate"]
        cell = f"{_time(row['wall_s'])} ({row['faster_than_transformers']:.1f}x)"
        columns.setdefault(f"training step, {length}", {})[candidate] = cell
        if row["peak_above_weights_mib"] is not None:
            memory = f"{row['peak_above_weights_mib']:,.0f} MiB"
            columns.setdefault(f"its memory, {length}", {})[candidate] = memory
    return columns


def _memory(rows: list[dict[str, Any]]) -> dict[str, Cells]:
    longest = max(row["length"] for row in rows)
    return {
        f"inference memory, {longest:,} tokens": {
            row["candidate"]: f"{row['peak_above_weights_mib']:,.0f} MiB" for row in rows if row["length"] == longest
        }
    }


def _time(seconds: float) -> str:
    return f"{seconds:.2f} s" if seconds >= 1 else f"{1000 * seconds:.0f} ms"


_READERS: dict[str, Callable[[list[dict[str, Any]]], dict[str, Cells]]] = {
    "forward": _forward,
    "corpus": _corpus,
    "train": _train,
    "memory": _memory,
}
