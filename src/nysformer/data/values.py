"""Values of columns: what they may be, and the one form each has after reading.

After reading, a value is text, a number, True, False, None, a tuple of values, or a dict of values under text keys.
"""

import json
from collections.abc import Mapping
from typing import Any

__all__ = ["UnusableValue", "as_read", "from_cell", "native", "text_list", "text_value", "type_of", "whole_number"]


class UnusableValue(ValueError):
    """A value that its column cannot hold; the message is the reason, without a place and without the column."""


def text_value(value: object) -> str:
    """A text that is not blank.

    Raises:
        UnusableValue: anything else.
    """
    if not isinstance(value, str):
        raise UnusableValue(f"of type {type_of(value)}, not text")
    if not value.strip():
        raise UnusableValue("empty; give text")
    return value


def text_list(value: object) -> tuple[str, ...]:
    """A list of texts, in which a text may be blank.

    Raises:
        UnusableValue: anything else.

    Example:
        >>> text_list(["a", "b"])
        ('a', 'b')
        >>> text_list(["a", 3])
        Traceback (most recent call last):
        nysformer.data.values.UnusableValue: item 2 is of type int, not text; give a list of texts
    """
    if not isinstance(value, list | tuple):
        raise UnusableValue(f"of type {type_of(value)}, not a list of texts")
    for number, item in enumerate(value, start=1):
        if not isinstance(item, str):
            raise UnusableValue(f"item {number} is of type {type_of(item)}, not text; give a list of texts")
    return tuple(value)


def whole_number(value: object) -> int:
    """A whole number, also one that a table holds as 3.0.

    Raises:
        UnusableValue: anything else.
    """
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        shown = f" ({value!r})" if isinstance(value, float) else ""
        raise UnusableValue(f"of type {type_of(value)}{shown}, not a whole number")
    return value


def type_of(value: object) -> str:
    """The type of a value as an error names it.

    Example:
        >>> type_of(None), type_of(3)
        ('null', 'int')
    """
    return "null" if value is None else type(value).__name__


def from_cell(value: object) -> object:
    """The value of a cell that may hold a list or an object: text that begins like one is read as JSON.

    Args:
        value: of the cell; blank text means that there is no value.

    Raises:
        UnusableValue: text that begins like a list or an object and is not JSON.

    Example:
        >>> from_cell('["a", "b"]'), from_cell("spam"), from_cell(" ")
        (['a', 'b'], 'spam', None)
    """
    if not isinstance(value, str):
        return value
    text = value.strip()
    if text in ("", "null"):
        return None
    if not text.startswith(("[", "{")):
        return value
    try:
        return json.loads(text)
    except RecursionError:
        raise UnusableValue("nested too deep") from None
    except ValueError as error:
        raise UnusableValue(f'invalid JSON in the cell ({error}); write a list as JSON: ["a", "b"]') from error


def as_read(value: object) -> Any:
    """A value in the form it has after reading: lists are tuples.

    Example:
        >>> as_read({"a": [1, [2]]})
        {'a': (1, (2,))}
    """
    if isinstance(value, list | tuple):
        return tuple(as_read(item) for item in value)
    if isinstance(value, Mapping):
        return {str(name): as_read(item) for name, item in value.items()}
    return value


def native(value: object) -> Any:
    """A value of Python's own types: arrays become lists, their scalars numbers, and missing values None.

    Missing are NaN, and the NA and NaT of pandas.

    Example:
        >>> import numpy as np
        >>> native({"label": np.int64(3), "tags": np.array(["a", "b"]), "note": float("nan")})
        {'label': 3, 'tags': ['a', 'b'], 'note': None}
    """
    if value is None or type(value) in (str, int, bool):
        return value
    if isinstance(value, float):
        return None if value != value else float(value)
    if isinstance(value, Mapping):
        return {str(name): native(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [native(item) for item in value]
    if isinstance(value, str):  # a subclass, such as numpy's
        return str.__str__(value)
    if type(value).__name__ in ("NAType", "NaTType"):
        return None
    if hasattr(value, "tolist") and not isinstance(value, type):  # arrays, tensors, and their scalars
        plain = value.tolist()
        return native(plain) if plain is not value else plain
    return value
