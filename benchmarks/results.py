"""The result files in a folder, one line of explanation for each that cannot be used."""

from __future__ import annotations

import json
import math
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.machine import describe_machine, identity
from nysformer.errors import NysformerError

__all__ = ["Result", "newest_results", "number"]

_NAME = re.compile(r"\d{4}-\d{2}-\d{2}-.+\.json")


@dataclass(frozen=True, slots=True)
class Result:
    """What one file holds.

    Attributes:
        date: from the file's name.
        commit: of the code that was measured; None if it was measured outside a checkout.
        machine: as `benchmarks.machine.this_machine` gives it; older files say less.
    """

    path: Path
    name: str
    date: str
    commit: str | None
    machine: Mapping[str, Any]
    versions: Mapping[str, Any]
    notes: Mapping[str, Any]
    rows: Sequence[Mapping[str, Any]]


def newest_results(folder: Path, wanted: Sequence[str], others: Sequence[str] = ()) -> list[Result]:
    """The newest result of each wanted benchmark on each machine, ordered by machine and in the order of `wanted`.

    Files of a name that is neither wanted nor among `others` are skipped, with a warning on standard error.

    Args:
        folder: of the result files, `<date>-<name>-<machine>.json`, or `<date>-<name>.json` from before.
        wanted: names of benchmarks.
        others: names whose files are none of the caller's business.

    Raises:
        NysformerError: files that are damaged, all of them, one per line. Without them a range would be wrong.
    """
    newest: dict[tuple[tuple[str, ...], int], Result] = {}
    damaged: list[str] = []
    for path in sorted(folder.glob("*.json")):
        if not _NAME.fullmatch(path.name):
            _warn(path, "not named <date>-<benchmark>-<machine>.json")
            continue
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            name = content["name"]
            if name in wanted:
                result = _result(path, content)
                newest[identity(result.machine), wanted.index(name)] = result  # paths are in the order of dates
            elif not isinstance(name, str):
                raise TypeError("the name is no text")
            elif name not in others:
                _warn(path, f"no benchmark is called {name!r}")
        except OSError as error:
            damaged.append(f"{path}: cannot be read ({error.strerror})")
        except (AttributeError, KeyError, RecursionError, TypeError, ValueError):
            damaged.append(f"{path}: no result of a benchmark; run it again or remove the file")
    if damaged:
        raise NysformerError("\n".join(damaged))

    def order(key: tuple[tuple[str, ...], int]) -> tuple[str, tuple[str, ...], int]:
        return (describe_machine(newest[key].machine), *key)

    return [newest[key] for key in sorted(newest, key=order)]


def number(row: Mapping[str, Any], key: str, *, zero: bool = False) -> float:
    """A figure of a row, above zero, or zero where that can be.

    Raises:
        ValueError: it is missing or no such number.

    Example:
        >>> number({"wall_s": 0.5}, "wall_s")
        0.5
    """
    value = row.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"{key} is {value!r}")
    if value < 0 or (value == 0 and not zero):
        raise ValueError(f"{key} is {value!r}")
    return float(value)


def _result(path: Path, content: dict[str, Any]) -> Result:
    rows = content["rows"]
    if not rows or not all(isinstance(row, dict) for row in rows):
        raise TypeError("rows are not dictionaries")
    parts = {key: content.get(key, {}) for key in ("machine", "versions", "notes")}
    if not all(isinstance(part, dict) for part in parts.values()):
        raise TypeError("machine, versions or notes are not dictionaries")
    describe_machine(parts["machine"])  # fails here, not later, where its values are of other types
    return Result(path, content["name"], path.name[:10], content.get("commit"), rows=rows, **parts)


def _warn(path: Path, reason: str) -> None:
    print(f"nysformer: {path}: {reason}; skipped", file=sys.stderr)
