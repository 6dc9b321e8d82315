"""The sentence is as the numbers are, whoever wins."""

from io import StringIO
from typing import Any

import pytest
from rich.console import Console

from nysformer.demo.compare import comparison_table, verdict

RIVALS = {"first": "TF-IDF on the first words", "whole": "TF-IDF on the whole text"}


def metrics(accuracy: float, macro_f1: float) -> dict[str, Any]:
    bands = ("1-512", "513-1024", "1025-2048", "2049-4096", "> 4096")
    return {
        "accuracy": accuracy,
        "macro_f1": macro_f1,
        "documents": 1431,
        "by_length": [{"band": band, "documents": 1141, "accuracy": accuracy, "macro_f1": macro_f1} for band in bands],
    }


@pytest.mark.parametrize(
    ("ours", "expected"),
    [
        (
            (0.8, 0.7),
            "In accuracy nysformer is ahead of TF-IDF on the whole text: 0.800 against 0.710; "
            "in macro-F1 nysformer is ahead of TF-IDF on the first words: 0.700 against 0.600.",
        ),
        (
            (0.7, 0.5),
            "In accuracy nysformer is behind TF-IDF on the whole text: 0.700 against 0.710; "
            "in macro-F1 nysformer is behind TF-IDF on the first words: 0.500 against 0.600.",
        ),
        (
            (0.7101, 0.6),
            "In accuracy nysformer is level with TF-IDF on the whole text: 0.710 against 0.710; "
            "in macro-F1 nysformer is level with TF-IDF on the first words: 0.600 against 0.600.",
        ),
    ],
)
def test_verdict(ours: tuple[float, float], expected: str) -> None:
    systems = {"majority": metrics(0.9, 0.9), "first": metrics(0.65, 0.6), "whole": metrics(0.71, 0.55)}
    assert verdict({**systems, "nysformer": metrics(*ours)}, "nysformer", RIVALS) == expected


def test_the_table_fits_a_terminal() -> None:
    systems = {"TF-IDF, first 350 words": metrics(0.65, 0.5), "nysformer": metrics(0.7, 0.6)}
    console = Console(width=80, record=True, file=StringIO())
    console.print(comparison_table(systems, "nysformer"))
    lines = [line.strip() for line in console.export_text().splitlines()]
    assert max(map(len, lines)) <= 80
    row = next(line for line in lines if line.startswith("TF-IDF, first 350 words"))
    assert row.split()[4:] == ["0.650", "0.500"] + ["0.650"] * 5
    assert (
        next(line for line in lines if line.startswith("documents")).split() == ["documents", "1,431"] + ["1,141"] * 5
    )
