"""What a figure has to reach, and whether it does."""

from __future__ import annotations

from typing import Any

__all__ = ["above", "at_least", "at_most"]


def at_least(name: str, figure: float, bound: float) -> dict[str, Any]:
    """A row of the table of bars: `figure` is to be `bound` or more.

    Example:
        >>> at_least("faster", 1.7, 1.6)["holds"]
        'yes'
    """
    return {"bar": name, "figure": figure, "bound": f">= {bound:g}", "holds": "yes" if figure >= bound else "no"}


def at_most(name: str, figure: float, bound: float) -> dict[str, Any]:
    """A row of the table of bars: `figure` is to be `bound` or less."""
    return {"bar": name, "figure": figure, "bound": f"<= {bound:g}", "holds": "yes" if figure <= bound else "no"}


def above(name: str, figure: float, bound: float) -> dict[str, Any]:
    """A row of the table of bars: `figure` is to be more than `bound`."""
    return {"bar": name, "figure": figure, "bound": f"> {bound:g}", "holds": "yes" if figure > bound else "no"}
