"""The library's errors in the words of the command line."""

import re
import shlex
from collections.abc import Collection

__all__ = ["in_flags"]

_ARGUMENT = re.compile(r"\b([a-z_]+)=('(?:[^'\\]|\\.)*'|True|[\w.-]+)")


def in_flags(line: str, options: Collection[str]) -> str:
    r"""A line with its arguments, such as all_files=True, as options: --all-files.

    Args:
        line: an error of the library, which names Python arguments.
        options: the names of the arguments that are options too.

    Example:
        >>> in_flags("give encoding='cp1252' or all_files=True, not x=1", {"encoding", "all_files"})
        'give --encoding cp1252 or --all-files, not x=1'
    """

    def flag(match: re.Match[str]) -> str:
        name, value = match.groups()
        if name not in options:
            return match[0]
        option = f"--{name.replace('_', '-')}"
        if value == "True":
            return option
        plain = value[1:-1].replace("\\t", "tab") if value.startswith("'") else value
        return f"{option} {shlex.quote(plain)}"

    return _ARGUMENT.sub(flag, line)
