"""A linear classifier or regression on fixed features, its regularisation chosen by folds of the documents.

Shapes: D documents, E features, C outputs.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GroupKFold, KFold, StratifiedGroupKFold, StratifiedKFold

from nysformer.tasks.class_weights import ClassWeights, label_weights, positive_weights
from nysformer.tasks.labels import MULTI_LABEL, REGRESSION, SINGLE_LABEL, ProblemType

__all__ = ["STRENGTHS", "LinearProbe", "fit_probe"]

Array: TypeAlias = NDArray[np.float64]

STRENGTHS = tuple(float(f"{10 ** (power / 2):.3g}") for power in range(-8, 3))
"""What C is chosen from, scikit-learn's inverse of the regularisation: 0.0001, 0.000316, ... 10."""
_FIRST = STRENGTHS.index(0.01)
_FOLDS = 5
_MAX_STEPS = 1_000
# How unlikely a label is that no training document has, beside the least likely of the others.
_UNSEEN = 20.0


@dataclass(frozen=True)
class LinearProbe:
    """logits = features @ weight.T + bias.

    Attributes:
        weight: (C, E).
        bias: (C,). For two single labels both outputs carry half of scikit-learn's one decision value.
        strength: C, of `STRENGTHS`.
        score: that the folds gave for it, greater is better; None where there were too few documents for folds.
    """

    weight: Array
    bias: Array
    strength: float
    score: float | None

    def logits(self, features: Array) -> Array:
        """(D, C) for (D, E)."""
        return features @ self.weight.T + self.bias


def fit_probe(
    features: Array,
    targets: NDArray[Any],
    problem_type: ProblemType,
    num_labels: int,
    *,
    score: Callable[[Array], float],
    class_weights: ClassWeights | None = None,
    groups: NDArray[np.int64] | None = None,
    seed: int = 0,
) -> LinearProbe:
    """Fit logistic regressions (one for single labels, one per label for several), or a ridge regression.

    C is the best of `STRENGTHS` for documents that the fit has not seen, in up to five folds; it is looked for from
    0.01 up and down as long as the score rises.

    Args:
        features: (D, E), each of about unit variance.
        targets: (D,) label numbers, (D, C) of 0 and 1, or (D,) numbers, by problem type.
        problem_type: see `nysformer.tasks.labels`.
        num_labels: C.
        score: of (D, C) logits, each document's from a fit without its fold; greater is better.
        class_weights: how much more documents of rare labels weigh.
        groups: (D,) group numbers; a group stays in one fold. None where every document stands by itself.
        seed: of the folds.

    Example:
        >>> features = np.array([[-2.0], [-1.0], [1.0], [2.0]])
        >>> truth = np.array([0, 0, 1, 1])
        >>> right = lambda logits: float((logits.argmax(1) == truth).mean())
        >>> probe = fit_probe(features, truth, "single_label_classification", 2, score=right)
        >>> probe.logits(features).argmax(1).tolist(), probe.score
        ([0, 0, 1, 1], 1.0)
    """
    fit = _Fit(problem_type, num_labels, _weights(targets, problem_type, num_labels, class_weights))
    folds = _folds(targets, problem_type, groups, seed)
    strength, best = STRENGTHS[_FIRST], None
    if folds:
        strength, best = _best_strength(lambda c: score(_held_out(fit, features, targets, folds, c)))
    weight, bias = fit(features, targets, np.arange(len(features)), strength)
    return LinearProbe(weight, bias, strength, best)


def _best_strength(score: Callable[[float], float]) -> tuple[float, float]:
    """From the middle upwards, then downwards, as long as it gets better; of equals the more regularised one."""
    scores = {_FIRST: score(STRENGTHS[_FIRST])}
    for step in (1, -1):
        place = _FIRST
        while 0 <= place + step < len(STRENGTHS):
            scores[place + step] = score(STRENGTHS[place + step])
            if not (scores[place + step] > scores[place] or (step < 0 and scores[place + step] == scores[place])):
                break
            place += step
        if place != _FIRST:
            break
    best = max(scores.values())
    return next((STRENGTHS[place], best) for place in sorted(scores) if scores[place] == best)


def _held_out(
    fit: _Fit, features: Array, targets: NDArray[Any], folds: Sequence[NDArray[np.int64]], strength: float
) -> Array:
    """(D, C) logits, each document's from the other folds."""
    logits = np.zeros((len(features), fit.num_labels))
    for held in folds:
        rest = np.setdiff1d(np.arange(len(features)), held)
        weight, bias = fit(features, targets, rest, strength)
        logits[held] = features[held] @ weight.T + bias
    return logits


def _folds(
    targets: NDArray[Any], problem_type: ProblemType, groups: NDArray[np.int64] | None, seed: int
) -> list[NDArray[np.int64]]:
    """Up to five parts of the documents; none where there are fewer than two documents or groups."""
    documents = np.arange(len(targets))
    count = min(_FOLDS, len(targets) if groups is None else len(np.unique(groups)))
    strata = targets if problem_type == SINGLE_LABEL else None
    if strata is not None:
        count = min(count, int(np.bincount(strata).max()))
    if count < 2:
        return []
    deal: Any
    if strata is None:
        deal = KFold(count, shuffle=True, random_state=seed) if groups is None else GroupKFold(count)
    else:
        kind = StratifiedKFold if groups is None else StratifiedGroupKFold
        deal = kind(count, shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The least populated class", UserWarning)  # a fold may lack a rare label
        parts = [held for _, held in deal.split(documents, strata, groups)]
    return [held for held in parts if 0 < len(held) < len(documents)]


def _weights(
    targets: NDArray[Any], problem_type: ProblemType, num_labels: int, kind: ClassWeights | None
) -> Array | None:
    """(C,): of documents of each label; for several labels, of those that have it beside those that have not."""
    if kind is None or problem_type == REGRESSION:
        return None
    if problem_type == MULTI_LABEL:
        return positive_weights(targets.sum(axis=0).astype(np.int64), len(targets), kind)
    return label_weights(np.bincount(targets, minlength=num_labels), kind)


@dataclass(frozen=True)
class _Fit:
    """Weight (C, E) and bias (C,) of a fit to some of the documents."""

    problem_type: ProblemType
    num_labels: int
    weights: Array | None

    def __call__(
        self, features: Array, targets: NDArray[Any], rows: NDArray[np.int64], strength: float
    ) -> tuple[Array, Array]:
        x, y = features[rows], targets[rows]
        if self.problem_type == REGRESSION:
            ridge = Ridge(alpha=1 / strength).fit(x, y)
            return np.atleast_2d(ridge.coef_), np.atleast_1d(ridge.intercept_)
        if self.problem_type == MULTI_LABEL:
            parts = [self._one_label(x, y[:, label], label, strength) for label in range(self.num_labels)]
            return np.concatenate([weight for weight, _ in parts]), np.concatenate([bias for _, bias in parts])
        return self._single(x, y, strength)

    def _one_label(self, x: Array, y: NDArray[Any], label: int, strength: float) -> tuple[Array, Array]:
        if y.min() == y.max():  # nothing to tell apart
            share = (y.sum() + 0.5) / (len(y) + 1)
            return np.zeros((1, x.shape[1])), np.log([share / (1 - share)])
        weights = None if self.weights is None else np.where(y > 0, self.weights[label], 1.0)
        found = _logistic(x, y, weights, strength)
        return found.coef_, found.intercept_

    def _single(self, x: Array, y: NDArray[Any], strength: float) -> tuple[Array, Array]:
        weight, bias = np.zeros((self.num_labels, x.shape[1])), np.zeros(self.num_labels)
        seen = np.unique(y)
        if len(seen) > 1:
            found = _logistic(x, y, None if self.weights is None else self.weights[y], strength)
            one = len(seen) == 2
            weight[seen] = [-found.coef_[0] / 2, found.coef_[0] / 2] if one else found.coef_
            bias[seen] = [-found.intercept_[0] / 2, found.intercept_[0] / 2] if one else found.intercept_
        bias[np.setdiff1d(np.arange(self.num_labels), seen)] = bias[seen].min() - _UNSEEN
        return weight, bias


def _logistic(x: Array, y: NDArray[Any], weights: Array | None, strength: float) -> LogisticRegression:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the last of so many steps is near enough
        return LogisticRegression(C=strength, max_iter=_MAX_STEPS).fit(x, y, sample_weight=weights)
