"""What an option may be: declared beside the field it belongs to, checked in one place.

A dataclass of options declares its fields with `option` and calls `check_options(self)` in `__post_init__`.
"""

from __future__ import annotations

import math
import numbers
import os
from dataclasses import dataclass, field, fields
from typing import Any, Protocol, TypeVar

from nysformer.errors import NysformerError

__all__ = ["Choice", "Flag", "Number", "Text", "Texts", "allows", "check_options", "option", "share", "whole"]

T = TypeVar("T")
_KEY = "allowed"
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
    """One of several values."""

    known: tuple[str, ...]

    def read(self, name: str, value: Any) -> Any:
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
class Texts:
    """A sequence of texts or paths, as a tuple; one alone is a sequence of one."""

    def read(self, name: str, value: Any) -> tuple[str, ...]:
        values = [value] if isinstance(value, str | os.PathLike) else value
        if not isinstance(values, list | tuple):
            raise NysformerError(f"{name}: {value!r} is not a sequence of texts")
        return tuple(Text().read(name, each) for each in values)


def allows(allowed: Allowed) -> dict[str, Any]:
    """The metadata of a dataclass field without a default: `field(metadata=allows(Text()))`."""
    return {_KEY: allowed}


def option(default: T, allowed: Allowed) -> T:
    """A dataclass field with its default and what else it may be; None is allowed where it is the default."""
    return field(default=default, metadata=allows(allowed))


def check_options(options: Any) -> None:
    """Check every field that `option` declared, and set it to the plain Python value that it stands for.

    Raises:
        NysformerError: with the name of the field, its value and what it may be.
    """
    for each in fields(options):
        allowed = each.metadata.get(_KEY)
        value = getattr(options, each.name)
        if allowed is None or (value is None and each.default is None):
            continue
        read = allowed.read(each.name, value)
        if read is not value:
            object.__setattr__(options, each.name, read)
