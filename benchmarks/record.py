"""One benchmark's figures as a file that says on what machine, with what versions and at which commit."""

from __future__ import annotations

import datetime
import json
import os
import subprocess
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from benchmarks.machine import machine_slug, this_machine
from benchmarks.output import say
from nysformer.errors import NysformerError
from nysformer.files.atomic import write_atomically

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Record", "check_folder", "commit", "show_table", "write_record"]

_PACKAGES = ("nysformer", "torch", "transformers", "nystrom-attention")


@dataclass
class Record:
    """What a benchmark measured.

    Attributes:
        name: the benchmark's name, part of the file's.
        command: what to run for the same figures.
        rows: the figures, one dictionary a row, all with the same keys.
        notes: settings and anything a reader of the figures has to know.
        bars: what the figures have to reach and whether they do, rows of `benchmarks.bars`.
        plot: a matplotlib figure, written beside the file as PNG.
        variant: tells runs of one benchmark apart, in the file's name.
        commit: of the code that was measured, where that was read before; None for the checkout's at the end.
    """

    name: str
    command: str
    rows: list[dict[str, Any]]
    notes: dict[str, Any] = field(default_factory=dict)
    bars: list[dict[str, Any]] = field(default_factory=list)
    plot: Figure | None = None
    variant: str = ""
    commit: str | None = None


def write_record(record: Record, folder: Path) -> Path:
    """Write `<date>-<name>[-<variant>]-<machine>.json` and the plot beside it; print both paths and the figures.

    The machine is part of the name so that two machines do not overwrite each other's figures of one day.

    Raises:
        NysformerError: the folder cannot be written.
    """
    measured = {key: getattr(record, key) for key in ("name", "command", "rows", "notes", "bars")}
    taken = {
        "date": datetime.date.today().isoformat(),
        "commit": record.commit or commit(),
        "machine": (machine := this_machine()),
        "versions": {package: _version(package) for package in _PACKAGES},
    }
    name = f"{record.name}-{record.variant}" if record.variant else record.name
    path = folder / f"{taken['date']}-{name}-{machine_slug(machine)}.json"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if record.plot is not None:
            temporary = path.with_suffix(".tmp.png")
            try:
                record.plot.savefig(temporary, dpi=150)
                os.replace(temporary, path.with_suffix(".png"))
            finally:
                temporary.unlink(missing_ok=True)
            say(f"plot written to {path.with_suffix('.png')}")
        with write_atomically(path) as file:
            file.write(json.dumps({**measured, **taken}, indent=1) + "\n")
    except OSError as error:
        raise NysformerError(f"{folder}: cannot be written ({error.strerror}); name another folder") from error
    say(f"written to {path}")
    say(json.dumps({"benchmark": record.name, "rows": record.rows, "bars": record.bars}))
    return path


def check_folder(folder: Path) -> None:
    """Refuse a folder that cannot be written, before anything is measured. Nothing is made yet.

    Raises:
        NysformerError: it, or the nearest folder above it that exists, is a file or not writable.
    """
    nearest = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
    if not nearest.is_dir():
        raise NysformerError(f"{folder}: cannot be written ({nearest} is a file); name another folder")
    if not os.access(nearest, os.W_OK):
        raise NysformerError(f"{folder}: cannot be written (no permission for {nearest}); name another folder")


def show_table(title: str, rows: list[dict[str, Any]]) -> None:
    """Print rows with the same keys; floats with three significant digits, nothing for None. No rows, no table."""
    if not rows:
        return
    table = Table(title=title, title_justify="left")
    for column in rows[0]:
        text = isinstance(rows[0][column], str)
        table.add_column(column.replace("_", " "), justify="left" if text else "right", no_wrap=text)
    for row in rows:
        table.add_row(*(_cell(value) for value in row.values()))
    console = Console()
    if not console.is_terminal:
        console.width = 160  # a file has room
    with console.capture() as capture:
        console.print(table)
    say(capture.get().rstrip("\n"))


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def commit() -> str | None:
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


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
