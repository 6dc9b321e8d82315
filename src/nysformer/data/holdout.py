"""A share of the training documents held out for validation: by label, and never a part of a group."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nysformer.errors import NysformerError

__all__ = ["Holdout", "hold_out"]


@dataclass(frozen=True, slots=True)
class Holdout:
    """Places of the documents of each side, ascending, and what the user should know of the split, line by line."""

    train: NDArray[np.int64]
    valid: NDArray[np.int64]
    notes: list[str]


def hold_out(
    labels: Sequence[int],
    names: Sequence[str],
    share: float,
    *,
    groups: NDArray[np.int64] | None = None,
    seed: int = 0,
) -> Holdout:
    """Hold out a share of each label's documents.

    Each label keeps a document for training and, where it can, has one in validation, even where that makes the held
    out share another one than was asked for. With groups whole groups are held out: a label whose documents lie in one
    group is trained on and not validated.

    Args:
        labels: (n,) numbers below the number of names.
        names: of the labels; a single empty one where there are none.
        share: of the documents, between 0 and 1.
        groups: (n,) group numbers; None where every document stands by itself.
        seed: another seed, another split; the same seed, the same split.

    Raises:
        NysformerError: a label has a single document, or no group can be held out.

    Example:
        >>> split = hold_out([0, 0, 0, 0, 1, 1], ["a", "b"], 0.4)
        >>> len(split.train), len(split.valid)
        (4, 2)
    """
    label_of = np.asarray(labels, dtype=np.int64)
    counts = np.bincount(label_of, minlength=len(names))
    for name, count in zip(names, counts.tolist(), strict=True):
        if count == 1:
            if not name:
                raise NysformerError(
                    f"valid_share: {share}: a single document cannot be trained on and held out; add documents, or "
                    "give validation documents"
                )
            raise NysformerError(
                f"valid_share: {share}: the label {name!r} has 1 document, which cannot be trained on and held out; "
                "add documents of it or leave it out, or give validation documents"
            )
    wanted = _per_label(counts, share)
    random = np.random.default_rng(seed)
    if groups is None:
        shuffled = random.permutation(len(label_of))
        by_label = [shuffled[label_of[shuffled] == label][:count] for label, count in enumerate(wanted)]
        valid = np.sort(np.concatenate(by_label))
    else:
        valid = _whole_groups(label_of, counts, wanted, groups, random)
        if not len(valid):
            raise NysformerError(
                f"valid_share: {share}: no group can be held out that leaves a document of each label to train on; "
                "give validation documents"
            )
    train = np.setdiff1d(np.arange(len(label_of)), valid)
    held = np.bincount(label_of[valid], minlength=len(names))
    return Holdout(train, valid, _notes(names, counts, held, share, grouped=groups is not None))


def _per_label(counts: NDArray[np.int64], share: float) -> NDArray[np.int64]:
    """How many documents of each label to hold out: their sum is the share, but 1 at least and all but 1 at most."""
    exact = share * counts
    wanted = np.floor(exact).astype(np.int64)
    missing = round(share * counts.sum()) - int(wanted.sum())
    # What rounding down left over goes to the labels that lost most by it.
    wanted[np.argsort(wanted - exact, kind="stable")[: max(missing, 0)]] += 1
    most = np.maximum(counts - 1, 0)
    clipped: NDArray[np.int64] = np.minimum(np.maximum(wanted, 1), most)
    return clipped


def _whole_groups(
    label_of: NDArray[np.int64],
    counts: NDArray[np.int64],
    wanted: NDArray[np.int64],
    groups: NDArray[np.int64],
    random: np.random.Generator,
) -> NDArray[np.int64]:
    """Documents of groups that together hold about what is wanted of each label."""
    _, number = np.unique(groups, return_inverse=True)
    table = np.zeros((int(number.max()) + 1, len(counts)), dtype=np.int64)  # documents by group and label
    np.add.at(table, (number, label_of), 1)
    chosen: list[int] = []
    held = np.zeros_like(counts)
    order = random.permutation(len(table))
    for group in order.tolist():  # those that fit
        if (held + table[group] <= wanted).all():
            chosen.append(group)
            held += table[group]
    # A label that none fitted gets the smallest group that leaves something of every label for training.
    for label in np.flatnonzero((held == 0) & (counts > 0)).tolist():
        if held[label]:
            continue
        with_label = [group for group in order.tolist() if table[group, label] and group not in chosen]
        for group in sorted(with_label, key=lambda group: int(table[group].sum())):
            after = held + table[group]
            if (after[counts > 0] < counts[counts > 0]).all():
                chosen.append(group)
                held = after
                break
    return np.flatnonzero(np.isin(number, chosen))


def _notes(
    names: Sequence[str], counts: NDArray[np.int64], held: NDArray[np.int64], share: float, *, grouped: bool
) -> list[str]:
    notes = []
    rare = [f"{names[label]} ({counts[label]:,})" for label in np.flatnonzero((held == 0) & (counts > 0)).tolist()]
    if rare:
        shown = ", ".join(rare[:10]) + (", ..." if len(rare) > 10 else "")
        notes.append(f"labels without validation documents, because all of theirs are one group: {shown}")
    total, asked = int(held.sum()), share * int(counts.sum())
    if abs(total - asked) > max(1.0, 0.1 * asked):
        why = "groups are not parted" if grouped else "each label has a document on each side"
        notes.append(f"held out: {total:,} documents where the share of {share:g} would be {asked:,.0f}, since {why}")
    return notes
