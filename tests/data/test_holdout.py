"""Each label on both sides where it can be, no group on both, the same split for the same seed."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nysformer.data.holdout import hold_out
from nysformer.errors import NysformerError

SHARES = st.floats(0.01, 0.99)


@given(st.lists(st.integers(2, 30), min_size=2, max_size=6), SHARES, st.integers(0, 3))
def test_every_label_stands_on_both_sides(counts: list[int], share: float, seed: int) -> None:
    labels = np.repeat(np.arange(len(counts)), counts)
    names = [f"label {number}" for number in range(len(counts))]
    split = hold_out(labels.tolist(), names, share, seed=seed)
    assert sorted([*split.train, *split.valid]) == list(range(len(labels)))
    assert set(labels[split.train]) == set(labels[split.valid]) == set(range(len(counts)))
    again = hold_out(labels.tolist(), names, share, seed=seed)
    assert (again.valid == split.valid).all()
    if min(counts) * min(share, 1 - share) >= 2:
        assert abs(len(split.valid) - share * len(labels)) <= 1


@given(st.integers(0, 1000), SHARES, st.integers(2, 40))
def test_no_group_stands_on_both_sides(data: int, share: float, count: int) -> None:
    random = np.random.default_rng(data)
    groups, labels = random.integers(0, count, 80), random.permutation(np.arange(80) % 3)
    try:
        split = hold_out(labels.tolist(), ["a", "b", "c"], share, groups=groups, seed=1)
    except NysformerError as error:
        assert "no group can be held out" in str(error)  # noqa: PT017
        return
    assert not set(groups[split.train]) & set(groups[split.valid])
    assert sorted([*split.train, *split.valid]) == list(range(80))
    assert set(labels[split.train]) == {0, 1, 2}
    for label, name in enumerate("abc"):
        assert (label in labels[split.valid]) or any(f"{name} (" in note for note in split.notes)


def test_another_seed_another_split() -> None:
    labels = [0, 1] * 50
    first, other = (hold_out(labels, ["a", "b"], 0.2, seed=seed) for seed in (0, 1))
    assert (first.valid != other.valid).any()


def test_a_lone_document_is_named_with_its_label() -> None:
    with pytest.raises(NysformerError, match=r"valid_share: 0\.5: the label 'rare' has 1 document"):
        hold_out([0, 0, 0, 1], ["usual", "rare"], 0.5)


def test_a_label_in_one_group_is_trained_on_and_named() -> None:
    labels, groups = [0] * 10 + [1] * 5, np.array([*range(10), *[10] * 5])
    split = hold_out(labels, ["a", "b"], 0.3, groups=groups)
    assert set(split.valid) < set(range(10))
    assert split.notes[0] == "labels without validation documents, because all of theirs are one group: b (5)"


def test_a_share_that_cannot_be_met_is_said() -> None:
    split = hold_out([number // 2 for number in range(20)], [str(number) for number in range(10)], 0.1)
    assert len(split.valid) == 10
    assert split.notes == [
        "held out: 10 documents where the share of 0.1 would be 2, since each label has a document on each side"
    ]
    with pytest.raises(NysformerError, match="no group can be held out"):
        hold_out([0, 1, 0, 1], ["a", "b"], 0.5, groups=np.zeros(4, dtype=np.int64))
