"""The fit is scikit-learn's, its strength is chosen on documents it has not seen, and nothing rare breaks it."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import expit, softmax
from sklearn.linear_model import LogisticRegression, Ridge

from nysformer.tasks.class_weights import ClassWeights, label_weights, positive_weights
from nysformer.tasks.labels import MULTI_LABEL, REGRESSION, SINGLE_LABEL, ProblemType
from nysformer.tasks.linear_probe import STRENGTHS, LinearProbe, _best_strength, fit_probe


def drawn(count: int = 90, features: int = 6, classes: int = 3, noise: float = 1.0) -> tuple[NDArray[Any], ...]:
    """Features, and labels that follow from the first ones, with unequal frequencies."""
    random = np.random.default_rng(0)
    x = random.standard_normal((count, features))
    raw = x[:, :classes] + np.array([1.0, 0.3, -0.5])[:classes] + noise * random.standard_normal((count, classes))
    return x, raw.argmax(axis=1), (raw > 0.8).astype(float), raw[:, 0] * 7 + 40


def fitted(x: Any, y: Any, problem: ProblemType, classes: int, **options: Any) -> LinearProbe:
    def score(logits: Any) -> float:
        if problem == REGRESSION:
            return -float(((logits[:, 0] - y) ** 2).mean())
        predicted = logits.argmax(1) == y if problem == SINGLE_LABEL else (logits > 0) == (y > 0)
        return float(predicted.mean())

    return fit_probe(x, y, problem, classes, score=score, **options)


@pytest.mark.parametrize("kind", [None, "sqrt", "balanced"])
@pytest.mark.parametrize("classes", [2, 3])
def test_probabilities_of_single_labels(classes: int, kind: ClassWeights | None) -> None:
    x, y, _, _ = drawn(classes=classes)
    probe = fitted(x, y, SINGLE_LABEL, classes, class_weights=kind)
    weights = None if kind is None else label_weights(np.bincount(y), kind)[y]
    truth = LogisticRegression(C=probe.strength, max_iter=1000).fit(x, y, sample_weight=weights).predict_proba(x)
    np.testing.assert_allclose(softmax(probe.logits(x), axis=1), truth, rtol=1e-9)
    if kind == "balanced":
        other = LogisticRegression(C=probe.strength, max_iter=1000, class_weight="balanced").fit(x, y)
        np.testing.assert_allclose(truth, other.predict_proba(x), rtol=1e-4)


@pytest.mark.parametrize("kind", [None, "balanced"])
def test_probabilities_of_several_labels(kind: ClassWeights | None) -> None:
    x, _, y, _ = drawn()
    probe = fitted(x, y, MULTI_LABEL, 3, class_weights=kind)
    for label in range(3):
        ones = y[:, label]
        weights = None
        if kind is not None:
            weights = np.where(ones > 0, positive_weights(y.sum(0).astype(int), len(y), kind)[label], 1.0)
        one = LogisticRegression(C=probe.strength, max_iter=1000).fit(x, ones, sample_weight=weights)
        np.testing.assert_allclose(expit(probe.logits(x))[:, label], one.predict_proba(x)[:, 1], rtol=1e-9)


def test_a_regression_is_in_the_documents_numbers() -> None:
    x, _, _, y = drawn()
    probe = fitted(x, y, REGRESSION, 1)
    truth = Ridge(alpha=1 / probe.strength).fit(x, y).predict(x)
    np.testing.assert_allclose(probe.logits(x)[:, 0], truth, rtol=1e-9)


def test_noise_is_regularised_and_a_clear_case_is_not() -> None:
    x, y, _, _ = drawn(count=60, features=40, noise=3.0)
    clear, labels, _, _ = drawn(count=400, noise=0.0)
    assert fitted(x, y, SINGLE_LABEL, 3).strength < fitted(clear, labels, SINGLE_LABEL, 3).strength


def test_the_search_climbs_and_prefers_more_regularisation() -> None:
    for top in STRENGTHS:
        tried = []

        def score(strength: float, top: float = top, tried: list[float] = tried) -> float:
            tried.append(strength)
            return -abs(np.log(strength / top))

        assert _best_strength(score)[0] == top
        assert len(tried) == len(set(tried)), "none is fitted twice"
    assert _best_strength(lambda strength: 0.5) == (STRENGTHS[0], 0.5)


def test_a_group_is_in_one_fold() -> None:
    """Documents in identical pairs: a fit that saw the twin would answer every label, even of noise."""
    random = np.random.default_rng(1)
    x, y = np.repeat(random.standard_normal((40, 60)), 2, axis=0), np.repeat(random.integers(0, 2, 40), 2)
    alone = fitted(x, y, SINGLE_LABEL, 2).score
    grouped = fitted(x, y, SINGLE_LABEL, 2, groups=np.repeat(np.arange(40), 2)).score
    assert alone is not None
    assert grouped is not None
    assert grouped < 0.75 < 0.85 < alone


def test_labels_that_are_rare_or_missing() -> None:
    x, y, several, _ = drawn()
    y[0] = 3
    probe = fitted(x, y, SINGLE_LABEL, 5)
    assert np.isfinite(probe.logits(x)).all()
    assert softmax(probe.logits(x), axis=1)[:, 4].max() < 1e-6
    several[:, 1], several[:, 2] = 0, 1
    shares = expit(fitted(x, several, MULTI_LABEL, 3).logits(x))
    assert shares[:, 1].max() < 0.01
    assert shares[:, 2].min() > 0.99


def test_too_few_documents_for_folds() -> None:
    x, y = np.array([[1.0], [-1.0]]), np.array([0, 1])
    probe = fitted(x, y, SINGLE_LABEL, 2)
    assert probe.score is None
    assert probe.logits(x).argmax(1).tolist() == [0, 1]
    assert fitted(x, y, SINGLE_LABEL, 2, groups=np.array([0, 0])).score is None
