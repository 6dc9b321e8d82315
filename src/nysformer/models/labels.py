"""The label map of a classifier: the numbers 0 to C - 1, each with a name of its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nysformer.errors import NysformerError

__all__ = ["MAX_LABELS", "check_labels", "inverse_labels"]

MAX_LABELS = 10_000_000


def check_labels(id2label: Any) -> None:
    """Refuse a label map that does not name each of its outputs, once.

    Args:
        id2label: {number: name}; the numbers may be text, as JSON has them.

    Raises:
        NysformerError: not a map, or an empty one; numbers other than 0 .. C - 1; a name that is not text, or is given
            twice.

    Example:
        >>> check_labels({"0": "ham", "1": "spam"})
    """
    if not isinstance(id2label, Mapping) or not id2label:
        raise NysformerError(
            f"id2label is {_short(id2label)}: it maps each label's number to its name, such as "
            '{"0": "ham", "1": "spam"}'
        )
    if {str(key) for key in id2label} != {str(number) for number in range(len(id2label))}:
        raise NysformerError(
            f"id2label has the keys {_short(list(id2label))}: number its {len(id2label)} labels from 0 to "
            f"{len(id2label) - 1}, each once"
        )
    numbers: dict[str, Any] = {}
    for number, name in id2label.items():
        if not isinstance(name, str):
            raise NysformerError(f"id2label names label {number} {_short(name)}: a name is text in quotes")
        if name in numbers:
            raise NysformerError(
                f"id2label gives labels {numbers[name]} and {number} the same name {_short(name)}: make them different"
            )
        numbers[name] = number


def inverse_labels(label2id: Any) -> dict[int, str] | None:
    """{number: name} of a configuration that has only {name: number}; None where that is none."""
    if not isinstance(label2id, Mapping) or not all(type(number) is int for number in label2id.values()):
        return None
    return {number: name for name, number in label2id.items()}


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
