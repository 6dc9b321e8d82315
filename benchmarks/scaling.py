"""What a token costs in one long document, in many middling ones, and in a batch of short ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch

from benchmarks.bars import at_most
from benchmarks.candidates import BASE, Size, find, forward_task
from benchmarks.record import Record, show_table
from benchmarks.timing import Task, time_interleaved
from nysformer.errors import NysformerError

__all__ = ["measure_scaling"]

_CANDIDATES = ("nysformer float32", "nysformer optimized bfloat16")


def measure_scaling(
    lengths: Sequence[int] = (4096, 65536), rounds: int = 3, size: Size = BASE, short: tuple[int, int] = (200, 100)
) -> Record:
    """Time a token by the length of its document.

    Every length is timed over as many tokens as the longest has, one document after the other, so that all are equally
    exposed to what else the machine does: one document of 65,536 tokens against sixteen of 4,096.

    Args:
        lengths: in tokens; each is measured against the first.
        rounds: turns a candidate.
        size: of the models.
        short: documents and tokens each, of a batch of short documents.

    Raises:
        NysformerError: fewer than two lengths, or one below 1.
    """
    lengths = sorted(set(lengths))
    if len(lengths) < 2 or lengths[0] < 1:
        raise NysformerError(f"scaling: lengths {lengths} give no comparison; give two different ones above 0, or more")
    size = replace(size, positions=lengths[-1])
    count, tokens = short
    names = [name for name in _CANDIDATES if find(name).is_available()]
    tasks: dict[str, Task] = {}
    cells: dict[str, tuple[str, str, int]] = {}
    for name in names:
        model = find(name).build(size, lengths[-1])
        forms = {f"{length:,}": (length, lengths[-1] // length, 1) for length in lengths}
        forms[f"{count} x {tokens}"] = (tokens, 1, count)
        for documents, (length, times, batch) in forms.items():
            task = f"{name}, {documents}"
            tasks[task] = _repeated(forward_task(model, size, length, batch=batch), times)
            cells[task] = (name, documents, length * times * batch)
    timings = time_interleaved(tasks, rounds=rounds, title="scaling")
    rows: list[dict[str, Any]] = []
    first = {name: f"{name}, {lengths[0]:,}" for name in names}
    for task, (name, documents, total) in cells.items():
        base = timings[first[name]].wall / cells[first[name]][2]
        wall = timings[task].wall / total
        rows.append(
            {
                "candidate": name,
                "documents": documents,
                "wall_us_a_token": 1e6 * wall,
                "cpu_us_a_token": 1e6 * timings[task].cpu / total,
                "to_first_length": wall / base,
            }
        )
    bars = [
        at_most(f"{row['candidate']}: a token at 65,536 to one at 4,096", row["to_first_length"], 1.08)
        for row in rows
        if lengths[0] == 4096 and row["documents"] == "65,536"
    ]
    show_table("Cost of a token", rows)
    show_table("Bars", bars)
    notes = {
        "threads": torch.get_num_threads(),
        "layers": size.layers,
        "hidden_size": size.hidden,
        "landmarks": size.landmarks,
        "rounds": rounds,
    }
    return Record("scaling", "python -m benchmarks scaling", rows, notes, bars)


def _repeated(task: Task, times: int) -> Task:
    def call() -> None:
        for _ in range(times):
            task()

    return call
