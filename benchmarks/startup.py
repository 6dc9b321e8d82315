"""What starting costs: an import beside transformers' own, and the command line's help beside a bare interpreter."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

from benchmarks.bars import at_most
from benchmarks.record import Record, show_table
from benchmarks.timing import Task, time_interleaved

__all__ = ["measure_startup"]

_CLASSES = "NystromformerConfig, NystromformerModel, NystromformerForMaskedLM, NystromformerForSequenceClassification"
_BARE, _THEIRS, _OURS, _HELP = "python alone", "import transformers, torch", "import nysformer", "nysformer --help"
_CODE = {
    _BARE: "pass",
    _THEIRS: f"import torch, transformers; from transformers import {_CLASSES}",
    _OURS: f"import nysformer; from nysformer import {_CLASSES}",
    _HELP: "import sys; sys.argv = ['nysformer', '--help']; from nysformer.cli.main import main; main()",
}


def measure_startup(rounds: int = 5) -> Record:
    """Time fresh interpreters, the files they read already cached by the system.

    Args:
        rounds: turns a candidate.
    """
    timings = time_interleaved({name: _start(code) for name, code in _CODE.items()}, rounds=rounds, title="startup")
    theirs = timings[_THEIRS].wall
    rows: list[dict[str, Any]] = [
        {"candidate": name, "wall_s": timing.wall, "cpu_s": timing.cpu, "to_transformers": timing.wall / theirs}
        for name, timing in timings.items()
    ]
    bars = [
        at_most("import nysformer, time to transformers and torch", timings[_OURS].wall / theirs, 1.15),
        at_most("nysformer --help, seconds beyond a bare python", timings[_HELP].wall - timings[_BARE].wall, 1.0),
    ]
    show_table("Starting", rows)
    show_table("Bars", bars)
    return Record("startup", "python -m benchmarks startup", rows, {"classes": _CLASSES, "rounds": rounds}, bars)


def _start(code: str) -> Task:
    def call() -> None:
        subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)

    return call
