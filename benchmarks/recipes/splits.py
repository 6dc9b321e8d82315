"""Splits where every document belongs to the split of its group."""

import warnings
from collections.abc import Sequence

import numpy as np
from sklearn.model_selection import StratifiedKFold

from benchmarks.recipes.corpus import SPLITS, Row
from nysformer.data.groups import near_duplicate_groups, split_by_group
from nysformer.data.holdout import hold_out

__all__ = ["by_near_duplicates", "deal", "folds", "held_out"]


def deal(rows: Sequence[Row], sides: Sequence[str]) -> dict[str, list[Row]]:
    """The rows of each split, in their order; `sides` names the split of each row."""
    return {split: [row for row, side in zip(rows, sides, strict=True) if side == split] for split in SPLITS}


def by_near_duplicates(
    texts: Sequence[str], keys: Sequence[str], labels: Sequence[str], seed: int
) -> tuple[list[str], list[int]]:
    """Each document's split, and the number of its group of near-duplicates, which is on one side only.

    Args:
        texts: n documents.
        keys: n names; documents of one name are one group.
        labels: n names that should have the same shares on each side.
        seed: of the split.
    """
    groups = near_duplicate_groups(texts, keys)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The least populated class")
        return split_by_group(groups, labels, seed=seed), groups.tolist()


def folds(labels: Sequence[str], count: int, seed: int) -> list[int]:
    """The fold of each of n documents, from 0; the labels have nearly the same shares in each."""
    fold = np.zeros(len(labels), dtype=np.int64)
    dealt = StratifiedKFold(n_splits=count, shuffle=True, random_state=seed).split(np.zeros(len(labels)), labels)
    for number, (_, members) in enumerate(dealt):
        fold[members] = number
    return fold.tolist()


def held_out(labels: Sequence[str], share: float, seed: int, groups: Sequence[int] | None = None) -> set[int]:
    """Places of documents for validation, about `share` of them; a label with one document keeps it for training."""
    names, numbers, counts = np.unique(np.asarray(labels), return_inverse=True, return_counts=True)
    usable = np.flatnonzero(counts[numbers] > 1)
    kept, number = np.unique(numbers[usable], return_inverse=True)
    group = None if groups is None else np.asarray(groups)[usable]
    chosen = hold_out(number.tolist(), names[kept].tolist(), share, groups=group, seed=seed)
    return set(usable[chosen.valid].tolist())
