"""Near-duplicates: which documents are versions of one text, and a split that never parts them.

A random split of a corpus with near-duplicates measures memory: the test document stood in the training set with
another name in its copyright line. Here whole groups of versions go to one side.
"""

from collections.abc import Sequence
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix, csr_matrix
from scipy.sparse.csgraph import connected_components
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.model_selection import StratifiedGroupKFold

from nysformer.errors import NysformerError

__all__ = ["near_duplicate_groups", "split_by_group"]

# One fold of five is the test set, one of eight of what is left is for validation: 70, 10 and 20 percent.
TEST_FOLDS = 5
VALID_FOLDS = 8
_BLOCK = 512  # documents whose pairs are looked for at a time
_PAIRS = 1 << 14  # pairs whose cosine is computed at a time


def near_duplicate_groups(texts: Sequence[str], keys: Sequence[str], *, threshold: float = 0.85) -> NDArray[np.int64]:
    """Number the groups of documents that are versions of one text.

    Two documents are linked if they share a key, if their texts are the same, or if the cosine of their TF-IDF vectors
    (logarithmic term counts, without the words that stand in more than nine documents of ten) is above `threshold`. A
    group is a connected component: linked through any chain of documents. Only pairs that share one of their rarer
    words are compared, so that tens of thousands of documents need neither a matrix of all pairs nor its time.

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
        raise NysformerError(f"near_duplicate_groups: {len(texts)} texts but {len(keys)} keys: give one key per text")
    digests = [blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest() for text in texts]
    component = np.arange(len(texts))
    for names in (keys, digests):
        # A star, from the first document of each name to every one of it, joins as well as all pairs would.
        _, first, name_of = np.unique(np.asarray(names), return_index=True, return_inverse=True)
        component = _joined(component, first[name_of], np.arange(len(texts)))
    vectors = _vectors(texts)
    if vectors is not None:
        component = _join_similar(component, vectors, threshold)
    _, first_seen, number = np.unique(component, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first_seen))[number].astype(np.int64)


def _joined(component: NDArray[np.int64], left: NDArray[np.int64], right: NDArray[np.int64]) -> NDArray[np.int64]:
    """Component numbers after documents `left` and `right` were linked pairwise."""
    size = len(component)
    links = coo_matrix((np.ones(len(left), dtype=bool), (component[left], component[right])), shape=(size, size))
    return connected_components(links, directed=False)[1][component].astype(np.int64)


def _vectors(texts: Sequence[str]) -> csr_matrix | None:
    """Rows of unit length, their columns from the most frequent word to the rarest; None where there are no words."""
    # Of few documents all words may stand in nine of ten; of some texts all words are single letters.
    for settings in ({"max_df": 0.9}, {}, {"token_pattern": r"(?u)\w+"}):
        try:
            vectors = TfidfVectorizer(sublinear_tf=True, **settings).fit_transform(texts)
        except ValueError:  # no words
            continue
        documents = np.bincount(vectors.indices, minlength=vectors.shape[1])
        ordered = vectors[:, np.argsort(-documents, kind="stable")].tocsr()
        ordered.sort_indices()
        return ordered
    return None


def _join_similar(component: NDArray[np.int64], vectors: csr_matrix, threshold: float) -> NDArray[np.int64]:
    """Join documents whose cosine is above the threshold, found by prefix filtering (Bayardo, Ma and Srikant 2007).

    Split each vector into its frequent words, as many as have a norm of at most `threshold` together, and the rest, its
    rare words. The frequent words of one vector alone give no cosine above the threshold, so two similar vectors share
    a rare word of both. Pairs that are joined already are not compared.
    """
    squares = np.concatenate([[0.0], np.cumsum(vectors.data**2)])
    starts = vectors.indptr[:-1]
    up_to_word = squares[1:] - np.repeat(squares[starts], np.diff(vectors.indptr))
    kept = up_to_word > max(threshold, 0.0) ** 2 - 1e-9
    pointers = np.concatenate([[0], np.cumsum(kept)])[vectors.indptr]
    rare = csr_matrix((np.ones(int(kept.sum())), vectors.indices[kept], pointers), shape=vectors.shape)
    columns = rare.T.tocsr()
    start, block = 0, 8  # small at first: where most documents are alike, the first few join all
    while start < vectors.shape[0]:
        shared = (rare[start : start + block] @ columns).tocoo()
        rows, others = shared.row + start, shared.col
        todo = (others > rows) & (component[rows] != component[others])
        while todo.any():
            places = np.flatnonzero(todo)[:_PAIRS]
            left, right = rows[places], others[places]
            cosine = np.asarray(vectors[left].multiply(vectors[right]).sum(axis=1)).ravel()
            similar = cosine > threshold
            todo[places] = False
            if similar.any():
                component = _joined(component, left[similar], right[similar])
                todo &= component[rows] != component[others]
        start, block = start + block, min(2 * block, _BLOCK)
    return component


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
