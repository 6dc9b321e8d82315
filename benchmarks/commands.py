"""Run the commands a user would type, from the dataclasses of their options."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nysformer.cli.options import flags_of
from nysformer.errors import NysformerError
from nysformer.options import declarations

__all__ = ["command_flags", "execute", "shell_line"]

_COLUMNS = "100"  # of the tables that the commands print


def command_flags(cls: type, values: Mapping[str, Any]) -> list[str]:
    """Values of a dataclass of options as flags, in its order.

    Example:
        >>> from nysformer.inference.options import InferenceOptions
        >>> command_flags(InferenceOptions, {"reading": "head", "max_length": 512})
        ['--max-length', '512', '--reading', 'head']
    """
    flags = flags_of(cls)
    arguments: list[str] = []
    for declared in declarations(cls):
        value = values.get(declared.name)
        flag = flags[declared.name]
        if isinstance(value, bool):
            arguments += [flag] if value else []
        elif isinstance(value, list | tuple):
            arguments += [part for each in value for part in (flag, str(each))]
        elif value is not None:
            arguments += [flag, str(value)]
    return arguments


def shell_line(arguments: Sequence[str]) -> str:
    """The command line that `execute` stands for."""
    return shlex.join(["nysformer", *arguments])


def execute(name: str, arguments: Sequence[str], log: Path, *, append: bool = False) -> str:
    """Run a command of ours in a process of its own, so that its failure stops no other; return what `log` then holds.

    Args:
        name: what the error names.
        arguments: what follows `nysformer`.
        log: takes standard output and standard error.
        append: keep what the log holds.

    Raises:
        NysformerError: the command failed, with its last line and its log.
    """
    with log.open("a" if append else "w", encoding="utf-8") as file:
        done = subprocess.run(
            [sys.executable, "-m", "nysformer", *arguments],
            stdout=file,
            stderr=subprocess.STDOUT,
            env={**os.environ, "COLUMNS": _COLUMNS},
            check=False,
        )
    printed = log.read_text(encoding="utf-8", errors="replace")
    if done.returncode != 0:
        last = next((line for line in reversed(printed.splitlines()) if line.strip()), "no output")
        raise NysformerError(
            f"{name}: nysformer {arguments[0]} ended with exit code {done.returncode} ({last}); see {log}"
        )
    return printed
