"""Help that shows flags as flags, and that a narrow terminal can show whole."""

import inspect
import shutil
import textwrap
from collections.abc import Iterator
from typing import Any

from rich.console import Console
from typer.core import TyperCommand

__all__ = ["Command", "ReadableHelp"]

# Typer's tables need this many columns: below, they cut option names off.
TABLE_WIDTH = 100
_INDENT = " " * 4


class ReadableHelp:
    """Mixed into a Typer command or group, before its class."""

    def get_params(self, ctx: Any) -> list[Any]:
        """The parameters; a flag has no value whose type could be shown."""
        params: list[Any] = super().get_params(ctx)  # type: ignore[misc]
        for param in params:
            if getattr(param, "is_flag", False):
                param.metavar = ""
        return params

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Typer's tables where there is room for them, else every option over its text."""
        width = min(shutil.get_terminal_size().columns, Console().width)
        if width >= TABLE_WIDTH:
            super().format_help(ctx, formatter)  # type: ignore[misc]
        else:
            formatter.write("\n".join(_lines(self, ctx, max(width, 20))) + "\n")


class Command(ReadableHelp, TyperCommand):
    """A command of the command line."""


def _lines(command: Any, ctx: Any, width: int) -> Iterator[str]:
    yield from _wrapped(" ".join(command.get_usage(ctx).split()), width)
    for paragraph in inspect.cleandoc(command.help or "").split("\n\n"):
        yield ""
        yield from _wrapped(" ".join(paragraph.split()), width)
    panels: dict[str, list[tuple[str, str]]] = {}
    for param in command.get_params(ctx):
        record = param.get_help_record(ctx)
        if record is not None:
            usual = "Arguments" if param.param_type_name == "argument" else "Options"
            panels.setdefault(getattr(param, "rich_help_panel", None) or usual, []).append(record)
    for name in command.list_commands(ctx) if hasattr(command, "list_commands") else []:
        text = inspect.cleandoc(command.get_command(ctx, name).help or "").partition("\n\n")[0]
        panels.setdefault("Commands", []).append((name, " ".join(text.split())))
    for title, records in panels.items():
        yield ""
        yield f"{title}:"
        for name, text in records:
            yield from _wrapped(name, width, indent="  ", further=_INDENT)
            yield from _wrapped(text, width, indent=_INDENT * 2)


def _wrapped(text: str, width: int, *, indent: str = "", further: str | None = None) -> list[str]:
    """Lines of at most that width; a word is broken only where several choices stand in it, and after a choice."""
    room = width - max(len(indent), len(further or ""))
    words = [word if len(word) <= room else word.replace("|", "| ") for word in text.split()]
    return textwrap.wrap(
        " ".join(words).replace("\\[", "["),  # the escape of rich's markup
        width,
        initial_indent=indent,
        subsequent_indent=indent if further is None else further,
        break_long_words=False,
        break_on_hyphens=False,
    )
