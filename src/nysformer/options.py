"""Options of the library: what each may be and what it means, declared beside the field it belongs to.

A dataclass of options declares its fields with `option` and `required`, gets their descriptions by `option_class`, and
calls `check_options(self)` in `__post_init__`. The command line makes its options from the same declarations.
"""

from __future__ import annotations

import inspect
import math
import numbers
import os
import textwrap
from collections.abc import Iterable, Mapping, Sized
from dataclasses import MISSING, dataclass, field, fields
from typing import Any, Literal, Protocol, TypeVar, get_args

from nysformer.errors import NysformerError

__all__ = [
    "PANELS",
    "Choice",
    "Declaration",
    "FilesOrRows",
    "Flag",
    "Names",
    "Number",
    "Panel",
    "Text",
    "Texts",
    "as_keywords",
    "check_options",
    "declarations",
    "option",
    "option_class",
    "required",
    "share",
    "whole",
]

Panel = Literal["Model and output", "Documents", "Training", "Evaluation and choice of the model"]
"""A heading in `--help`."""
PANELS: tuple[Panel, ...] = get_args(Panel)

T = TypeVar("T")
_KEY = "nysformer.option"
_MOST = 2**31 - 1


class Allowed(Protocol):
    """The values of one option."""

    def read(self, name: str, value: Any) -> Any:
        """Return `value` as a plain Python value, or raise a `NysformerError` with its name, itself and the range."""


@dataclass(frozen=True)
class Number:
    """A finite number between two bounds; a bool is not a number.

    Attributes:
        low, high: the bounds.
        open_low, open_high: the bound itself is excluded.
        whole: integers only.
    """

    low: float
    high: float = math.inf
    open_low: bool = False
    open_high: bool = False
    whole: bool = False

    @property
    def kind(self) -> str:
        return "a whole number" if self.whole else "a number"

    def __str__(self) -> str:
        if not self.open_low and not self.open_high and self.high < math.inf:
            return f"{self.kind} from {self.low:,} to {self.high:,}"
        low = f"{'above' if self.open_low else 'of at least'} {self.low:,}"
        high = "" if self.high == math.inf else f" and {'below' if self.open_high else 'at most'} {self.high:,}"
        return f"{self.kind} {low}{high}"

    @property
    def bounds(self) -> str:
        """In a few words, such as "at least 1", "above 0, below 1"; empty where there are none."""
        least = [] if self.low == -math.inf else [f"{'above' if self.open_low else 'at least'} {self.low:,}"]
        most = (
            [f"{'below' if self.open_high else 'at most'} {self.high:,}"] if self.high not in (_MOST, math.inf) else []
        )
        return ", ".join([*least, *most])

    def read(self, name: str, value: Any) -> int | float:
        kind = numbers.Integral if self.whole else numbers.Real
        if isinstance(value, bool) or not isinstance(value, kind):
            raise NysformerError(f"{name}: {value!r} is not {self.kind}; give {self}")
        number: int | float = int(value) if isinstance(value, numbers.Integral) else float(value)
        if number != number:
            wrong = "is not a number"
        elif number < self.low or (self.open_low and number == self.low):
            wrong = f"is not above {self.low:,}" if self.open_low else f"is below {self.low:,}"
        elif number == math.inf:
            wrong = "is not finite"
        elif number > self.high or (self.open_high and number == self.high):
            wrong = f"is not below {self.high:,}" if self.open_high else f"is above {self.high:,}"
        else:
            return number
        raise NysformerError(f"{name}: {value} {wrong}; give {self}")


def whole(low: int, high: int = _MOST) -> Number:
    """A whole number from `low` to `high`, both included."""
    return Number(low, high, whole=True)


def share(*, zero: bool) -> Number:
    """A share below 1; `zero` says whether it may be 0."""
    return Number(0, 1, open_low=not zero, open_high=True)


@dataclass(frozen=True)
class Choice:
    """One of several values.

    Attributes:
        known: the values.
        none: another word for None, which a command line cannot write.
    """

    known: tuple[str, ...]
    none: str | None = None

    def read(self, name: str, value: Any) -> Any:
        if self.none is not None and value == self.none:
            return None
        if not isinstance(value, str) or value not in self.known:
            raise NysformerError(f"{name}: {value!r} is unknown; there is {', '.join(self.known)}")
        return value


@dataclass(frozen=True)
class Flag:
    """True or False."""

    def read(self, name: str, value: Any) -> bool:
        if not isinstance(value, bool):
            raise NysformerError(f"{name}: {value!r} is neither True nor False")
        return value


@dataclass(frozen=True)
class Text:
    """A text that is not empty; a path becomes one."""

    def read(self, name: str, value: Any) -> str:
        text = os.fspath(value) if isinstance(value, os.PathLike) else value
        if not isinstance(text, str):
            raise NysformerError(f"{name}: {value!r} is not a text")
        if not text:
            raise NysformerError(f"{name}: the text is empty; leave {name} out or say what is meant")
        return text


@dataclass(frozen=True)
class Names:
    """Names by name, such as {"text": "body"}; or pairs as text, such as ["text=body"]."""

    def read(self, name: str, value: Any) -> dict[str, str]:
        if isinstance(value, list | tuple) and all(isinstance(each, str) for each in value):
            parts = [each.partition("=") for each in value]
            wrong = next((each for each, (_, sign, _) in zip(value, parts, strict=True) if not sign), None)
            if wrong is not None:
                raise NysformerError(f"{name}: {wrong!r} has no =; give a pair such as question=query")
            value = {key: each for key, _, each in parts}
        if not isinstance(value, Mapping):
            raise NysformerError(f"{name}: {value!r} is no mapping of names; give one such as {{'question': 'query'}}")
        return {Text().read(name, key): Text().read(name, each) for key, each in value.items()}


@dataclass(frozen=True)
class Texts:
    """A sequence of texts or paths, as a tuple; one alone is a sequence of one."""

    def read(self, name: str, value: Any) -> tuple[str, ...]:
        values = [value] if isinstance(value, str | os.PathLike) else value
        if not isinstance(values, list | tuple):
            raise NysformerError(f"{name}: {value!r} is not a sequence of texts")
        return tuple(Text().read(name, each) for each in values)


@dataclass(frozen=True)
class FilesOrRows:
    """Files and folders, as a tuple of texts; or rows in memory, such as a list of mappings, as they are.

    One file alone is a tuple of one, and whatever holds nothing an empty tuple.
    """

    def read(self, name: str, value: Any) -> Any:
        values = [value] if isinstance(value, str | os.PathLike) else value
        if not isinstance(values, Iterable) or isinstance(values, bytes | bytearray | Mapping):
            raise NysformerError(
                f"{name}: of type {type(value).__name__}; give files and folders, or rows: a list of mappings, a "
                "DataFrame or a Dataset"
            )
        if isinstance(values, Sized) and not len(values):
            return ()
        if not isinstance(values, list | tuple) or isinstance(values[0], Mapping):
            return values
        return tuple(Text().read(name, each) for each in values)


@dataclass(frozen=True, slots=True)
class Declaration:
    """What is declared of a field.

    Attributes:
        name, default: of the field; `dataclasses.MISSING` where it must be given.
        allowed: its values.
        help: what it means, in one or two sentences; other fields are named between backticks.
        metavar: what stands for its value in `--help`.
        panel: the heading it stands under there.
        show_default: what the default means, in words.
        flag: its name on the command line.
    """

    name: str
    default: Any
    allowed: Allowed
    help: str
    metavar: str | None
    panel: Panel | None
    show_default: str | None
    flag: str


def declarations(options: Any) -> list[Declaration]:
    """Of a dataclass or an instance of one, in the order of its fields; fields declared otherwise are left out."""
    found = []
    for each in fields(options):
        if _KEY in each.metadata:
            default = each.default if each.default_factory is MISSING else each.default_factory()
            declared = dict(each.metadata[_KEY])
            flag = declared.pop("flag") or "--" + each.name.replace("_", "-")
            found.append(Declaration(name=each.name, default=default, flag=flag, **declared))
    return found


def required(
    allowed: Allowed,
    *,
    help: str,
    metavar: str | None = None,
    panel: Panel | None = None,
    show_default: str | None = None,
    flag: str | None = None,
    default: Any = MISSING,
) -> Any:
    """A dataclass field that must be given. The arguments are those of `Declaration`."""
    declared = {
        "allowed": allowed,
        "help": help,
        "metavar": metavar,
        "panel": panel,
        "show_default": show_default,
        "flag": flag,
    }
    if isinstance(default, dict):
        return field(default_factory=lambda: dict(default), metadata={_KEY: declared})
    return field(default=default, metadata={_KEY: declared})


def option(default: T, allowed: Allowed, *, help: str, **declared: Any) -> T:
    """A dataclass field with its default, see `required`; None is allowed where it is the default."""
    field_: T = required(allowed, help=help, default=default, **declared)
    return field_


def option_class(cls: type[T]) -> type[T]:
    """Complete the docstring of a dataclass of options with its fields.

    Example:
        >>> @option_class
        ... @dataclass(frozen=True)
        ... class Lengths:
        ...     '''How long documents may be.'''
        ...     max_length: int = option(512, whole(1), help="Tokens per document.")
        >>> print(Lengths.__doc__)
        How long documents may be.
        <BLANKLINE>
        Attributes:
            max_length: Tokens per document. Default: 512.
    """
    declared = declarations(cls)
    lines = [
        textwrap.fill(f"{each.name}: {_described(each)}", 120, initial_indent=" " * 4, subsequent_indent=" " * 8)
        for each in declared
    ]
    cls.__doc__ = "\n".join([f"{inspect.cleandoc(cls.__doc__ or '')}\n", "Attributes:", *lines])
    return cls


def _described(declared: Declaration) -> str:
    if declared.show_default is not None:
        return f"{declared.help} Default: {declared.show_default}."
    if any(declared.default is nothing for nothing in (MISSING, None, False)) or declared.default in ("", (), {}):
        return declared.help
    return f"{declared.help} Default: {declared.default}."


def check_options(options: Any) -> None:
    """Check every field that `option` or `required` declared, and set it to the plain value that it stands for.

    Raises:
        NysformerError: with the name of the field, its value and what it may be.
    """
    for each in declarations(options):
        value = getattr(options, each.name)
        if value is None and each.default is None:
            continue
        read = each.allowed.read(each.name, value)
        if read is not value:
            object.__setattr__(options, each.name, read)


def as_keywords(options: Any, *, of: Any = None) -> dict[str, Any]:
    """The fields of a dataclass as keyword arguments, as they are.

    Args:
        options: an instance.
        of: the dataclass whose fields are wanted, which the instance derives from; None for its own.
    """
    return {each.name: getattr(options, each.name) for each in fields(of or options)}
