"""TF-IDF with a linear SVM in three ways of reading: what every system here stands beside."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import torch
from torch import Tensor

from benchmarks.recipes.baselines.texts import HEAD_WORDS
from nysformer.demo.baselines import fit_tfidf_svm

__all__ = ["TFIDF", "WHOLE", "word_windows"]

Scorer = Callable[[Sequence[str]], Tensor]


def word_windows(text: str, words: int) -> list[str]:
    """Cut a text into windows of so many words; the last one ends with the text, and may repeat words.

    Example:
        >>> word_windows("a b c d e", 2)
        ['a b', 'c d', 'd e']
    """
    every = text.split()
    starts = [*range(0, max(len(every) - words, 0), words), max(len(every) - words, 0)]
    return [" ".join(every[start : start + words]) for start in starts]


def _fit_vote(texts: Sequence[str], labels: Sequence[str], names: Sequence[str]) -> Scorer:
    """Fit on windows, each with its document's label; a document's score is the mean of its windows'."""
    windows = [word_windows(text, HEAD_WORDS) for text in texts]
    pairs = [(window, label) for parts, label in zip(windows, labels, strict=True) for window in parts]
    score_windows = fit_tfidf_svm([window for window, _ in pairs], [label for _, label in pairs], names)

    def score(asked: Sequence[str]) -> Tensor:
        parts = [word_windows(text, HEAD_WORDS) for text in asked]
        counts = np.array([len(each) for each in parts])
        scores = score_windows([window for each in parts for window in each]).double().numpy()
        sums = np.add.reduceat(scores, np.cumsum(counts) - counts, axis=0)
        return torch.from_numpy((sums / counts[:, None]).astype(np.float32))

    return score


WHOLE = "TF-IDF + linear SVM, whole"
TFIDF: dict[str, Callable[[Sequence[str], Sequence[str], Sequence[str]], Scorer]] = {
    f"TF-IDF + linear SVM, first {HEAD_WORDS} words": partial(fit_tfidf_svm, words=HEAD_WORDS),
    WHOLE: fit_tfidf_svm,
    f"TF-IDF + linear SVM, vote of {HEAD_WORDS}-word windows": _fit_vote,
}
"""Name -> training texts, their labels and all C label names -> n texts -> (n, C) scores."""
