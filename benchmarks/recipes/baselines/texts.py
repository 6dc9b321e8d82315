"""Baselines for a label of a whole text: one of several names, a set of names, or a number."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import Ridge
from sklearn.metrics import accuracy_score, average_precision_score, f1_score
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MultiLabelBinarizer
from sklearn.svm import LinearSVC
from torch import Tensor

from benchmarks.recipes.corpus import Row
from nysformer.demo.baselines import first_words, majority_class, tfidf_svm

__all__ = ["HEAD_WORDS", "Figures", "label_sets", "numbers", "several_names", "single_labels"]

Figures = dict[str, dict[str, float]]

HEAD_WORDS = 350
_READ: dict[str, int | None] = {f"first {HEAD_WORDS} words": HEAD_WORDS, "whole": None}


def _column(rows: Sequence[Row], name: str) -> list[Any]:
    return [row[name] for row in rows]


def _read(rows: Sequence[Row], words: int | None) -> list[str]:
    """The first so many words of each text; None for all of it."""
    return [first_words(row["text"], words) for row in rows]


def single_labels(train: Sequence[Row], test: Sequence[Row]) -> Figures:
    """The majority label, and TF-IDF with a linear SVM on the first 350 words and on the whole text.

    Example:
        >>> rows = [{"text": "red fox", "label": "a"}, {"text": "blue whale", "label": "b"}] * 3
        >>> single_labels(rows, rows)["TF-IDF + linear SVM, whole"]
        {'accuracy': 1.0, 'macro_f1': 1.0}
    """
    texts, labels = _column(train, "text"), _column(train, "label")
    asked, wanted = _column(test, "text"), _column(test, "label")
    names = sorted({*labels, *wanted})

    def figures(scores: Tensor) -> dict[str, float]:
        found = [names[place] for place in scores.argmax(dim=-1).tolist()]
        return {
            "accuracy": float(accuracy_score(wanted, found)),
            "macro_f1": float(f1_score(wanted, found, average="macro", zero_division=0.0)),
        }

    result = {"majority": figures(majority_class(labels, len(test), names))}
    for how, words in _READ.items():
        scores = tfidf_svm(texts, labels, asked, names, words=words)
        result[f"TF-IDF + linear SVM, {how}"] = figures(scores)
    return result


def label_sets(train: Sequence[Row], test: Sequence[Row]) -> Figures:
    """The most frequent label for every text, and a linear SVM per label on TF-IDF.

    `average_precision` is the mean over the labels that the test rows have.
    """
    binarizer = MultiLabelBinarizer()
    labels = binarizer.fit_transform(_column(train, "label"))
    wanted = binarizer.transform(_column(test, "label"))

    def figures(found: NDArray[np.bool_], scores: NDArray[np.float64]) -> dict[str, float]:
        there = wanted.any(axis=0)
        return {
            "micro_f1": float(f1_score(wanted, found, average="micro", zero_division=0.0)),
            "macro_f1": float(f1_score(wanted[:, there], found[:, there], average="macro", zero_division=0.0)),
            "average_precision": float(average_precision_score(wanted[:, there], scores[:, there], average="macro")),
        }

    shares = labels.mean(axis=0)
    always = np.zeros(wanted.shape, dtype=bool)
    always[:, int(shares.argmax())] = True
    result = {"most frequent label": figures(always, np.tile(shares, (len(test), 1)))}
    for how, words in _READ.items():
        model = make_pipeline(
            TfidfVectorizer(sublinear_tf=True),
            OneVsRestClassifier(LinearSVC(class_weight="balanced", random_state=0)),
        ).fit(_read(train, words), labels)
        scores = np.asarray(model.decision_function(_read(test, words)), dtype=np.float64)
        result[f"TF-IDF + linear SVM per label, {how}"] = figures(scores > 0, scores)
    return result


def numbers(train: Sequence[Row], test: Sequence[Row]) -> Figures:
    """The mean of the training labels, and ridge regression on TF-IDF."""
    values = np.array(_column(train, "label"), dtype=np.float64)
    wanted = np.array(_column(test, "label"), dtype=np.float64)

    def figures(found: NDArray[np.float64]) -> dict[str, float]:
        result = {"rmse": float(np.sqrt(np.mean((found - wanted) ** 2)))}
        constant = np.ptp(found) == 0 or np.ptp(wanted) == 0  # no order: no correlation
        return result if constant else result | {"spearman": float(spearmanr(found, wanted).statistic)}

    result = {"mean": figures(np.full(len(wanted), values.mean()))}
    for how, words in _READ.items():
        model = make_pipeline(TfidfVectorizer(sublinear_tf=True), Ridge())
        model.fit(_read(train, words), values)
        found = np.asarray(model.predict(_read(test, words)), dtype=np.float64)
        result[f"TF-IDF + ridge, {how}"] = figures(found)
    return result


def several_names(train: Sequence[Row], test: Sequence[Row]) -> Figures:
    """Chance, the choice most frequent in training, and TF-IDF.

    The nearest choice is the one whose training contexts have the nearest mean vector.

    Example:
        >>> rows = [{"context": "red fox", "choices": ["a", "b"], "label": 0}]
        >>> rows.append({"context": "blue whale", "choices": ["a", "b"], "label": 1})
        >>> several_names(rows, rows)["TF-IDF, nearest choice"]
        {'accuracy': 1.0}
    """
    result: Figures = {"chance": {"accuracy": float(np.mean([1 / len(row["choices"]) for row in test]))}}
    right = [row["choices"][row["label"]] for row in train]
    counts = Counter(right)
    frequent = [int(np.argmax([counts[choice] for choice in row["choices"]])) for row in test]
    wanted = _column(test, "label")
    result["most frequent of the choices"] = {"accuracy": float(accuracy_score(wanted, frequent))}
    for how, nearest in (("nearest choice", _centroids), ("linear SVM among the choices", _svm)):
        scores, names = nearest(_column(train, "context"), right, _column(test, "context"))
        column = {name: place for place, name in enumerate(names)}
        found = [
            int(np.argmax([line[column[choice]] if choice in column else -np.inf for choice in row["choices"]]))
            for row, line in zip(test, scores, strict=True)
        ]
        result[f"TF-IDF, {how}"] = {"accuracy": float(accuracy_score(wanted, found))}
    return result


Scores = tuple[NDArray[np.float64], list[str]]


def _centroids(texts: Sequence[str], labels: Sequence[str], asked: Sequence[str]) -> Scores:
    vectorizer = TfidfVectorizer(sublinear_tf=True)
    vectors = vectorizer.fit_transform(texts)
    names = sorted(set(labels))
    means = np.stack([np.asarray(vectors[[label == name for label in labels]].mean(axis=0)).ravel() for name in names])
    means /= np.linalg.norm(means, axis=1, keepdims=True)
    return np.asarray(vectorizer.transform(asked) @ means.T), names


def _svm(texts: Sequence[str], labels: Sequence[str], asked: Sequence[str]) -> Scores:
    names = sorted(set(labels))
    return tfidf_svm(texts, labels, asked, names).double().numpy(), names
