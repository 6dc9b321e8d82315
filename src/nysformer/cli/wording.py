"""The library's words, which name arguments, as the command line's, which names flags."""

import re
import shlex
from collections.abc import Mapping

__all__ = ["flags_in_help", "in_flags"]

_ASSIGNED = re.compile(r"\b([a-z_]+)=('(?:[^'\\]|\\.)*'|True|[\w.-]+)")
_QUOTED = re.compile(r"`([a-z_]+)`")
_FIRST = re.compile(r"([a-z_]+)(?: and ([a-z_]+))?(?=[: ])")
# A name of several words that stands by itself: not quoted, and not a part of a path or of an assignment.
_BARE = re.compile(r"(?<![\w'\"`./=-])([a-z]+(?:_[a-z]+)+)(?![\w'\"`/=-]|\.\w)")


def in_flags(line: str, flags: Mapping[str, str], *, of_options: bool = False) -> str:
    r"""A line with its arguments as flags: `all_files=True` as --all-files, `max_length: ...` as --max-length: ...

    Args:
        line: an error of the library, which names Python arguments.
        flags: argument -> flag, of the arguments that are options too.
        of_options: the line is from the check of a dataclass of options, so that it begins with an argument. Any other
            line may begin with a file that is called like one: there, only a name of several words is taken for one.

    Example:
        >>> flags = {"encoding": "--encoding", "all_files": "--all-files", "num_landmarks": "--landmarks"}
        >>> in_flags("give encoding='cp1252' or all_files=True, not x=1", flags)
        'give --encoding cp1252 or --all-files, not x=1'
        >>> in_flags("num_landmarks: 0 is below 1; leave num_landmarks out", flags)
        '--landmarks: 0 is below 1; leave --landmarks out'
        >>> in_flags("a/config.json: num_landmarks is 0", flags)
        'a/config.json: num_landmarks is 0'
    """

    def assigned(match: re.Match[str]) -> str:
        name, value = match.groups()
        if name not in flags:
            return match[0]
        if value == "True":
            return flags[name]
        plain = value[1:-1].replace("\\t", "tab") if value.startswith("'") else value
        return f"{flags[name]} {shlex.quote(plain)}"

    def bare(match: re.Match[str]) -> str:
        return flags.get(match[1], match[1])

    first = _FIRST.match(line)
    if first is not None and first[1] in flags and (of_options or "_" in first[1]):
        rest = _BARE.sub(bare, line[first.end() :])
        line = " and ".join(flags.get(name, name) for name in first.groups() if name is not None) + rest
    return _ASSIGNED.sub(assigned, line)


def flags_in_help(text: str, flags: Mapping[str, str]) -> str:
    """A text of help with its arguments, between backticks, as flags.

    Example:
        >>> flags_in_help("This or `valid_share` is needed.", {"valid_share": "--valid-share"})
        'This or --valid-share is needed.'
    """
    return _QUOTED.sub(lambda match: flags.get(match[1], match[0]), text)
