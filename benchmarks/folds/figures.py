"""Figures of predictions with 95% intervals: a bootstrap over groups of documents, paired between systems.

Shapes: G groups, C classes, B resamples.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from benchmarks.recipes.corpus import Row
from nysformer.errors import NysformerError

__all__ = ["LONG_WORDS", "accuracy", "class_f1", "macro_f1", "measure"]

LONG_WORDS = 500  # a text of more is long
_RESAMPLES = 2000
_INTERVAL = (2.5, 97.5)

Floats = NDArray[np.float64]
Rounds = Sequence[Sequence[Row]]
"""Per seed the predictions of all folds: every document of the data set once."""


def accuracy(confusion: Floats) -> Floats:
    """Of (..., C, C) counts, true class by predicted class; NaN without documents."""
    return _share(np.trace(confusion, axis1=-2, axis2=-1), confusion.sum(axis=(-2, -1)))


def class_f1(confusion: Floats) -> Floats:
    """F1 of each class, of (..., C, C) counts; NaN for a class that neither the labels nor the predictions have.

    Example:
        >>> class_f1(np.array([[3.0, 1.0, 0.0], [1.0, 1.0, 0.0], [0.0, 0.0, 0.0]])).round(2).tolist()
        [0.75, 0.5, nan]
    """
    right = np.diagonal(confusion, axis1=-2, axis2=-1)
    return _share(2 * right, confusion.sum(axis=-1) + confusion.sum(axis=-2))


def macro_f1(confusion: Floats) -> Floats:
    """Mean F1 of the classes that the labels or the predictions have, as scikit-learn's; NaN without documents."""
    scores = class_f1(confusion)
    return _share(np.nansum(scores, axis=-1), (~np.isnan(scores)).sum(axis=-1))


def _share(part: Floats, whole: Floats) -> Floats:
    return np.divide(part, whole, out=np.full(np.shape(whole), np.nan), where=np.asarray(whole) > 0)


_MEASURES = {"accuracy": accuracy, "macro_f1": macro_f1}


def measure(systems: Mapping[str, Rounds], reference: str, *, resamples: int = _RESAMPLES) -> dict[str, dict[str, Any]]:
    """The figures of each system, all of the same documents.

    A figure is that of all folds' predictions together, and the mean of it over the seeds. In a resample G groups are
    drawn with replacement, the same for every system and seed; the interval holds the middle 95% of the resamples'
    figures. It covers the choice of documents, and not what another training would give.

    Args:
        systems: name -> predictions, rows of `group`, `words`, `label` and `predicted` per seed.
        reference: the system that the others are compared with.
        resamples: B.

    Returns:
        System -> `accuracy`, `macro_f1`, the same of texts of more than 500 words as `long_accuracy` and
        `long_macro_f1` (None without any), each with `<name>_interval` and, paired with the reference,
        `<name>_difference` and `<name>_difference_interval`; `documents`, `long_documents`; `per_class` F1, and the
        classes that are `never_predicted`.

    Raises:
        NysformerError: the systems have not predicted the same documents.
    """
    documents = {name: [sorted(row["id"] for row in rows) for rows in rounds] for name, rounds in systems.items()}
    for system, predicted_ids in documents.items():
        if predicted_ids != documents[reference]:
            raise NysformerError(f"{system}: predicted other documents than {reference}; run both anew")
    every = [row for rounds in systems.values() for rows in rounds for row in rows]
    names = sorted({row[which] for row in every for which in ("label", "predicted")})
    groups = {group: place for place, group in enumerate(sorted({row["group"] for row in every}))}
    drawn = np.random.default_rng(0).multinomial(len(groups), np.full(len(groups), 1 / len(groups)), size=resamples)
    weights = np.concatenate([np.ones((1, len(groups))), drawn])  # the first is what was measured

    found: dict[str, dict[str, Floats]] = {system: {} for system in systems}
    for system, rounds in systems.items():
        for scope, least in (("", 0), ("long_", LONG_WORDS + 1)):
            read = [[row for row in rows if row["words"] >= least] for rows in rounds]
            counts = [_confusions(rows, names, groups, weights) for rows in read]
            for name, of in _MEASURES.items():
                found[system][scope + name] = np.mean([of(each) for each in counts], axis=0)

    labels = {row["label"] for rows in systems[reference] for row in rows}
    result: dict[str, dict[str, Any]] = {}
    for system, rounds in systems.items():
        told: dict[str, Any] = {
            "documents": len(rounds[0]),
            "long_documents": sum(row["words"] > LONG_WORDS for row in rounds[0]),
        }
        for name, values in found[system].items():
            told |= _interval(name, values) | _interval(f"{name}_difference", values - found[reference][name])
        scores = [class_f1(_confusions(rows, names, groups, weights[:1])[0]) for rows in rounds]
        means = zip(names, np.mean(scores, axis=0).tolist(), strict=True)
        told["per_class"] = {name: score for name, score in means if name in labels}
        predicted = {row["predicted"] for rows in rounds for row in rows}
        told["never_predicted"] = sorted(labels - predicted)
        result[system] = told
    return result


def _interval(name: str, values: Floats) -> dict[str, Any]:
    if np.isnan(values[0]):
        return {name: None, f"{name}_interval": None}
    return {name: float(values[0]), f"{name}_interval": np.nanpercentile(values[1:], _INTERVAL).tolist()}


def _confusions(rows: Sequence[Row], names: Sequence[str], groups: Mapping[str, int], weights: Floats) -> Floats:
    """(len(weights), C, C): the counts, each document as often as its group."""
    number = {name: place for place, name in enumerate(names)}
    cells = [number[row["label"]] * len(names) + number[row["predicted"]] for row in rows]
    places = [groups[row["group"]] for row in rows]
    counts = csr_matrix((np.ones(len(rows)), (cells, places)), shape=(len(names) ** 2, len(groups)))
    return np.asarray(counts @ weights.T).T.reshape(len(weights), len(names), len(names))
