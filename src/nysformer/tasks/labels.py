"""What a document's label may be: a name, several names, or a number, and the problem type that follows from it."""

from __future__ import annotations

import json
import math
import numbers
from collections.abc import Callable
from typing import Literal, TypeAlias, get_args

from nysformer.data.labels import UnusableLabel, normal_label

__all__ = ["MULTI_LABEL", "PROBLEM_TYPES", "REGRESSION", "SINGLE_LABEL", "ProblemType", "label_reader"]

ProblemType = Literal["single_label_classification", "multi_label_classification", "regression"]
PROBLEM_TYPES: tuple[ProblemType, ...] = get_args(ProblemType)
SINGLE_LABEL, MULTI_LABEL, REGRESSION = PROBLEM_TYPES

Label: TypeAlias = str | tuple[str, ...] | float


def label_reader(problem_type: ProblemType | None) -> Callable[[object], Label]:
    """How labels of a problem type are read; None goes by what stands there.

    A number with a fraction is a number, a list is several names, and everything else is one name (see
    `nysformer.data.labels.normal_label`).

    Example:
        >>> label_reader(None)(["b", "a "]), label_reader(None)(0.5), label_reader(None)(3)
        (('b', 'a'), 0.5, '3')
        >>> label_reader("regression")("3"), label_reader("multi_label_classification")("a; b")
        (3.0, ('a', 'b'))
    """
    if problem_type == REGRESSION:
        return _number
    if problem_type == MULTI_LABEL:
        return _names
    return _any if problem_type is None else normal_label


def _any(value: object) -> Label:
    if isinstance(value, (list, tuple)):
        return _names(value)
    if isinstance(value, float) and math.isfinite(value) and value != int(value):
        return value
    return normal_label(value)


def _number(value: object) -> float:
    try:
        if isinstance(value, bool) or not isinstance(value, numbers.Real | str):
            raise ValueError
        number = float(value)
    except ValueError:
        raise UnusableLabel(f"the label {value!r} is not a number, as regression needs") from None
    if not math.isfinite(number):
        raise UnusableLabel(f"the label {value!r} is not a finite number, as regression needs")
    return number


def _names(value: object) -> tuple[str, ...]:
    """Names of a list, of a cell that holds a JSON list, or of a cell with semicolons between; each once."""
    if isinstance(value, str):
        value = _listed(value)
    if not isinstance(value, (list, tuple)):
        value = [value]
    return tuple(dict.fromkeys(normal_label(name) for name in value))


def _listed(cell: str) -> list[object]:
    if cell.lstrip().startswith("["):
        try:
            found = json.loads(cell)
        except ValueError:
            found = None
        if isinstance(found, list):
            return found
    return [name for name in cell.split(";") if name.strip()]
