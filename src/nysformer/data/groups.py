"""Near-duplicates: which documents are versions of one text, and a split that never parts them.

A random split of a corpus with near-duplicates measures memory: the test document stood in the training set with
another name in its copyright line. Here whole groups of versions go to one side.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.model_selection import StratifiedGroupKFold

from nysformer.errors import NysformerError

__all__ = ["near_duplicate_groups", "split_by_group"]

# One fold of five is the test set, one of eight of what is left is for validation: 70, 10 and 20 percent.
TEST_FOLDS = 5
VALID_FOLDS = 8


def near_duplicate_groups(texts: Sequence[str], keys: Sequence[str], *, threshold: float = 0.85) -> NDArray[np.int64]:
    """Number the groups of documents that are versions of one text.

    Two documents are linked if they share a key, or if the cosine of their TF-IDF vectors (logarithmic term counts,
    without the words that stand in more than nine documents of ten) is above `threshold`. A group is a connected
    component: linked through any chain of documents.

    Args:
        texts: n documents.
        keys: n names; documents of one name belong together whatever their texts say.
        threshold: a cosine in [0, 1).

    Returns:
        (n,) group numbers, counted from zero in order of first appearance.

    Example:
        >>> texts = ["the cat sat on a mat", "a dog ran in fog", "the cat sat on the mat", "no match at all"]
        >>> near_duplicate_groups(texts, ["a", "b", "c", "b"], threshold=0.5).tolist()
        [0, 1, 0, 1]
    """
    if len(texts) != len(keys):
        raise NysformerError(f"near_duplicate_groups: {len(texts)} texts but {len(keys)} keys: give one key a text")
    vectors = TfidfVectorizer(sublinear_tf=True, max_df=0.9).fit_transform(texts)
    cosine = (vectors @ vectors.T).tocoo()
    similar = cosine.data > threshold
    # A star for each key, from its first document to every one of them, links as well as all pairs would.
    _, first, key_of = np.unique(np.asarray(keys), return_index=True, return_inverse=True)
    rows = np.concatenate([cosine.row[similar], first[key_of]])
    columns = np.concatenate([cosine.col[similar], np.arange(len(texts))])
    links = coo_matrix((np.ones(len(rows), dtype=bool), (rows, columns)), shape=(len(texts), len(texts)))
    _, component = connected_components(links, directed=False)
    _, first_seen, number = np.unique(component, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first_seen))[number].astype(np.int64)


def split_by_group(groups: NDArray[np.int64], labels: Sequence[str], *, seed: int = 0) -> list[str]:
    """Give each document its split, "train", "valid" or "test"; a group is never on two sides.

    The largest group goes to train: on another side it would be the whole measurement. The rest is divided 7 : 1 : 2
    into train, valid and test, each with nearly the corpus's share of every label.

    Args:
        groups: (n,) group numbers.
        labels: n labels.
        seed: another seed, another split; the same seed, the same split.

    Raises:
        NysformerError: if there are too few groups, or too few documents of every label, to deal folds from.
    """
    label_of = np.asarray(labels)
    rest = np.flatnonzero(groups != np.bincount(groups).argmax())
    _, documents = np.unique(label_of[rest], return_counts=True)
    if len(np.unique(groups[rest])) < TEST_FOLDS + VALID_FOLDS or documents.max() < TEST_FOLDS + VALID_FOLDS:
        raise NysformerError(
            f"cannot split {len(groups)} documents by group: outside the largest group there must be "
            f"{TEST_FOLDS + VALID_FOLDS} groups, and as many documents of some label; give more documents"
        )
    random = np.random.default_rng(seed)

    def draw(candidates: NDArray[np.int64], folds: int) -> NDArray[np.int64]:
        # The folds come out much the same whatever the seed, because the groups that are hardest to balance are dealt
        # first; so the seed also chooses which of them is drawn.
        deal = StratifiedGroupKFold(n_splits=folds, shuffle=True, random_state=seed)
        drawn = [members for _, members in deal.split(candidates, label_of[candidates], groups[candidates])]
        return candidates[drawn[random.integers(folds)]]

    test = draw(rest, TEST_FOLDS)
    valid = draw(np.setdiff1d(rest, test), VALID_FOLDS)
    splits = np.full(len(groups), "train")
    splits[valid], splits[test] = "valid", "test"
    return splits.tolist()
