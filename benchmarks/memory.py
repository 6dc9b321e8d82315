"""How much memory inference takes above the weights, by length, each candidate in a process of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from benchmarks.candidates import BASE, NOTES, Size, check_length, find, forward_task
from benchmarks.peak import peak_memory
from benchmarks.record import Record, show_table
from benchmarks.timing import Task

__all__ = ["measure_memory"]

_CANDIDATES = ("nysformer float32", "nysformer optimized bfloat16", "transformers float32", "BERT float32")
# Softmax attention over more tokens takes minutes; its memory grows in proportion, as the shorter lengths show.
_LONGEST_SOFTMAX = 16384


def measure_memory(lengths: Sequence[int] = (4096, 16384, 65536), size: Size = BASE) -> Record:
    """The peak of one document's forward pass above model and inputs.

    Args:
        lengths: in tokens, multiples of the landmarks.
        size: of the models.

    Raises:
        NysformerError: a length transformers cannot have, or a process that was killed.
    """
    lengths = sorted(set(lengths))
    for length in lengths:
        check_length(length, size)
    rows: list[dict[str, Any]] = []
    for length in lengths:
        names = [
            name
            for name in _CANDIDATES
            if find(name).is_available() and not (name.startswith("BERT") and length > _LONGEST_SOFTMAX)
        ]
        peaks = {name: peak_memory(_make_forward, name, size, length) for name in names}
        rows += [
            {
                "length": length,
                "candidate": name,
                "peak_above_weights_mib": peak,
                "kib_a_token": peak * 1024 / length,
                "to_transformers": peak / theirs if (theirs := peaks["transformers float32"]) else None,
            }
            for name, peak in peaks.items()
        ]
    show_table("Inference, one document: peak memory above the weights", rows)
    notes = {
        **{name: NOTES[name] for name in ("transformers", "BERT")},
        "left out": f"BERT past {_LONGEST_SOFTMAX:,} tokens",
        "layers": size.layers,
        "hidden_size": size.hidden,
    }
    return Record("memory", "python -m benchmarks memory", rows, notes)


def _make_forward(name: str, size: Size, length: int) -> Task:
    return forward_task(find(name).build(replace(size, positions=length), length), size, length)
