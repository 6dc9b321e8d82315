"""Baselines for single words: the most frequent tag of each, and how frequent each is."""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from sklearn.metrics import accuracy_score, f1_score

from benchmarks.recipes.baselines.texts import Figures
from benchmarks.recipes.corpus import Row

__all__ = ["masked_tokens", "tags", "unigram"]


def tags(train: Sequence[Row], test: Sequence[Row]) -> Figures:
    """The most frequent tag of all, and the most frequent tag of each word; an unknown word gets the former.

    Example:
        >>> rows = [{"tokens": ["a", "dog", "a", "cat"], "tags": ["DET", "NOUN", "DET", "NOUN"]}]
        >>> figures = tags(rows, [{"tokens": ["a", "bird"], "tags": ["DET", "NOUN"]}])
        >>> figures["most frequent tag"]["accuracy"], figures["most frequent tag of the word"]["accuracy"]
        (0.5, 0.5)
    """
    of_word: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for row in train:
        for word, tag in zip(row["tokens"], row["tags"], strict=True):
            of_word[word][tag] += 1
    every: Counter[str] = sum(of_word.values(), Counter())
    most = _most(every)
    best = {word: _most(counts) for word, counts in of_word.items()}
    words = [word for row in test for word in row["tokens"]]
    wanted = [tag for row in test for tag in row["tags"]]
    found = {
        "most frequent tag": [most] * len(words),
        "most frequent tag of the word": [best.get(word, most) for word in words],
    }
    return {
        name: {
            "accuracy": float(accuracy_score(wanted, given)),
            "macro_f1": float(f1_score(wanted, given, average="macro", zero_division=0.0)),
        }
        for name, given in found.items()
    }


def _most(counts: Counter[str]) -> str:
    return min(counts, key=lambda name: (-counts[name], name))


def unigram(train: Iterable[Sequence[int]], test: Iterable[Sequence[int]], vocabulary: int) -> dict[str, float]:
    """How well a masked token is guessed from frequencies alone, with one added to each count.

    Masked tokens are a random sample of all, so all tokens of `test` are asked for.

    Args:
        train, test: token ids per document, without special ones, each below `vocabulary`.
        vocabulary: the number of tokens.

    Example:
        >>> figures = unigram([[0, 0, 0, 1]], [[0, 1]], vocabulary=2)
        >>> round(figures["loss"], 4), figures["accuracy"]
        (0.752, 0.5)
    """
    counts = np.ones(vocabulary)
    for document in train:
        counts += np.bincount(np.asarray(document, dtype=np.int64), minlength=vocabulary)
    asked = np.zeros(vocabulary, dtype=np.int64)
    for document in test:
        asked += np.bincount(np.asarray(document, dtype=np.int64), minlength=vocabulary)
    total = int(asked.sum())
    loss = float(-(asked * np.log(counts / counts.sum())).sum() / total)
    return {"loss": loss, "perplexity": math.exp(loss), "accuracy": float(asked[counts.argmax()] / total)}


def masked_tokens(train: Sequence[Row], test: Sequence[Row], tokenizer: Any) -> Figures:
    """`unigram` over the tokens of a tokenizer; figures of two tokenizers cannot be compared.

    Args:
        train, test: rows with `text`.
        tokenizer: of transformers.
    """

    def ids(rows: Sequence[Row]) -> Iterable[list[int]]:
        for row in rows:
            yield tokenizer(row["text"], add_special_tokens=False, verbose=False)["input_ids"]

    return {"unigram": unigram(ids(train), ids(test), len(tokenizer))}
