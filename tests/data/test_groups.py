"""Versions of one text are one group, and no split parts a group."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse.csgraph import connected_components
from sklearn.feature_extraction.text import TfidfVectorizer

from nysformer.data.groups import near_duplicate_groups, split_by_group
from nysformer.errors import NysformerError


def test_a_changed_copyright_line_stays_in_the_group() -> None:
    text = "Permission is hereby granted to any person obtaining a copy of this software to deal without restriction"
    texts = [f"Copyright Ada. {text}", "Nothing of the kind stands in here", f"Copyright Grace. {text}", "Other words"]
    assert near_duplicate_groups(texts, ["a", "b", "c", "d"]).tolist() == [0, 1, 0, 2]


def test_a_shared_key_links_whatever_the_texts_say() -> None:
    texts = ["alpha beta gamma", "delta epsilon zeta", "eta theta iota", "kappa lambda mu"]
    assert near_duplicate_groups(texts, ["x", "y", "x", "z"]).tolist() == [0, 1, 0, 2]


def test_links_chain() -> None:
    # 0 and 2 share no word; 1 is close to both.
    texts = ["a1 a2 a3", "a1 a2 a3 b1 b2 b3", "b1 b2 b3", "c1 c2 c3"]
    assert near_duplicate_groups(texts, ["k", "l", "m", "n"], threshold=0.5).tolist() == [0, 0, 0, 1]


def test_the_same_text_is_one_group_even_without_words() -> None:
    assert near_duplicate_groups(["!!", "??", "!!"], ["a", "b", "c"]).tolist() == [0, 1, 0]
    assert near_duplicate_groups(["same words here"] * 3, ["a", "b", "c"]).tolist() == [0, 0, 0]
    assert near_duplicate_groups(["a b c d", "e f g h", "a b c d e"], ["k", "l", "m"], threshold=0.7).tolist() == [
        0,
        1,
        0,
    ]


@settings(max_examples=20)
@given(st.integers(0, 2**32 - 1), st.sampled_from([0.0, 0.3, 0.6, 0.85, 0.95]))
def test_filtering_loses_no_pair(data_seed: int, threshold: float) -> None:
    random = np.random.default_rng(data_seed)
    texts = [" ".join(f"word{number}" for number in random.zipf(1.5, 12) % 40) for _ in range(60)]
    vectors = TfidfVectorizer(sublinear_tf=True, max_df=0.9).fit_transform(texts).toarray()
    cosine = vectors @ vectors.T
    certain = np.abs(cosine - threshold) > 1e-9
    same_text = np.array([[left == right for right in texts] for left in texts])
    _, expected = connected_components((cosine > threshold) & certain | same_text, directed=False)
    groups = near_duplicate_groups(texts, [str(number) for number in range(60)], threshold=threshold)
    assert ((groups[:, None] == groups) == (expected[:, None] == expected)).all()


def test_keys_and_texts_must_pair_up() -> None:
    with pytest.raises(NysformerError, match="2 texts but 1 keys"):
        near_duplicate_groups(["one text", "two texts"], ["one"])


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(0, 5))
def test_no_group_on_two_sides(data_seed: int, seed: int) -> None:
    random = np.random.default_rng(data_seed)
    groups = random.integers(0, 60, size=300)
    labels = random.choice(["a", "b", "c"], size=300).tolist()
    splits = np.array(split_by_group(groups, labels, seed=seed))
    for group in np.unique(groups):
        assert len(set(splits[groups == group])) == 1
    assert set(splits[groups == np.bincount(groups).argmax()]) == {"train"}
    for split in ("train", "valid", "test"):
        assert {label for label, side in zip(labels, splits, strict=True) if side == split} == {"a", "b", "c"}
    assert split_by_group(groups, labels, seed=seed) == splits.tolist()


def test_the_seed_moves_the_split() -> None:
    groups = np.arange(200)
    labels = ["a", "b"] * 100
    assert split_by_group(groups, labels, seed=0) != split_by_group(groups, labels, seed=1)


def test_too_little_to_split() -> None:
    with pytest.raises(NysformerError, match="give more documents"):
        split_by_group(np.array([0, 0, 1, 2, 3]), ["a", "a", "b", "a", "b"])
