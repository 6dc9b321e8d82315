"""One benchmark's figures as a file that says on what machine, with what versions and at which commit."""

from __future__ import annotations

import datetime
import json
import os
import platform
import subprocess
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table

__all__ = ["Record", "show_table", "write_record"]

_PACKAGES = ("nysformer", "torch", "transformers", "nystrom-attention")


@dataclass
class Record:
    """What a benchmark measured.

    Attributes:
        name: the benchmark's name, part of the file's.
        command: what to run for the same figures.
        rows: the figures, one dictionary a row, all with the same keys.
        notes: settings and anything a reader of the figures has to know.
    """

    name: str
    command: str
    rows: list[dict[str, Any]]
    notes: dict[str, Any] = field(default_factory=dict)


def write_record(record: Record, folder: Path) -> Path:
    """Write `<date>-<name>.json` atomically, print its path and, last, the record as one line of JSON."""
    taken = {
        "date": datetime.date.today().isoformat(),
        "commit": _commit(),
        "machine": _machine(),
        "versions": {package: _version(package) for package in _PACKAGES},
    }
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{taken['date']}-{record.name}.json"
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps({**asdict(record), **taken}, indent=1) + "\n", encoding="utf-8")
    os.replace(temporary, path)
    print(f"written to {path}")
    print(json.dumps({"benchmark": record.name, "rows": record.rows}))
    return path


def show_table(title: str, rows: list[dict[str, Any]]) -> None:
    """Print rows with the same keys; floats with three significant digits."""
    table = Table(title=title, title_justify="left")
    for column in rows[0]:
        table.add_column(column, justify="left" if isinstance(rows[0][column], str) else "right")
    for row in rows:
        table.add_row(*(f"{value:.3g}" if isinstance(value, float) else str(value) for value in row.values()))
    Console().print(table)


def _commit() -> str | None:
    """The checkout's commit, with "+" where the tree differs from it; None outside a checkout."""
    try:
        described = subprocess.run(
            ["git", "describe", "--always", "--abbrev=10", "--dirty=+"],
            capture_output=True,
            text=True,
            check=True,
            cwd=Path(__file__).parent,
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return described.stdout.strip()


def _machine() -> dict[str, Any]:
    return {
        "processor": platform.machine(),
        "system": platform.system(),
        "python": platform.python_version(),
        "cores": os.cpu_count(),
        "torch_threads": torch.get_num_threads(),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
