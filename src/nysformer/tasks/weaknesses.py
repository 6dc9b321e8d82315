"""What an average hides: classes that a classifier never gets right."""

from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["zero_f1"]

_SHOWN = 20


def zero_f1(metrics: Mapping[str, Any]) -> str | None:
    """Say in one sentence which classes have F1 0, and which of them were never predicted at all.

    Args:
        metrics: the result of `nysformer.tasks.metrics.classification_metrics`.

    Returns:
        The sentence; None where every class that has documents has some F1.

    Example:
        >>> scores = {"f1": 0.0, "documents": 3}
        >>> confusion = {"labels": ["a", "b"], "counts": [[0, 3], [0, 5]]}
        >>> zero_f1({"per_class": {"a": scores, "b": {"f1": 0.8, "documents": 5}}, "confusion": confusion})
        '1 of 2 classes has F1 0: a (never predicted).'
    """
    present = {name: scores for name, scores in metrics["per_class"].items() if scores["documents"]}
    zero = [name for name, scores in present.items() if scores["f1"] == 0]
    if not zero:
        return None
    predicted = _predicted(metrics)
    if predicted is None:
        parts = [_some(zero)]
    else:
        never, wrongly = ([name for name in zero if (name in predicted) == was] for was in (False, True))
        parts = [f"{_some(never)} (never predicted)"] if never else []
        parts += [f"{_some(wrongly)} (predicted, but never rightly)"] if wrongly else []
    has = "has" if len(zero) == 1 else "have"
    return f"{len(zero):,} of {len(present):,} classes {has} F1 0: {'; '.join(parts)}."


def _predicted(metrics: Mapping[str, Any]) -> set[str] | None:
    """Classes that some document got, rightly or not; None where the metrics do not say."""
    confusion = metrics.get("confusion") or {}
    if confusion.get("counts") is None:
        return None
    columns = zip(confusion["labels"], zip(*confusion["counts"], strict=True), strict=True)
    return {name for name, column in columns if any(column)}


def _some(names: Sequence[str]) -> str:
    more = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {more:,} more" if more > 0 else "")
