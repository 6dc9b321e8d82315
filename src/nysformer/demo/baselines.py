"""What a long-document encoder has to beat: the majority class, and TF-IDF with a linear support vector machine.

Both give scores of shape (n, C), so that one metric function measures them and the model alike.
"""

from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np
import torch
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import make_pipeline
from sklearn.svm import LinearSVC
from torch import Tensor

from nysformer.errors import NysformerError

__all__ = ["first_words", "fit_tfidf_svm", "majority_class", "tfidf_svm"]


def majority_class(train_labels: Sequence[str], documents: int, label_names: Sequence[str]) -> Tensor:
    """Score every document alike, by how often each label stands in the training set.

    Returns:
        (documents, C) float32 logarithms of the label shares; a label that training lacks gets the lowest finite score.

    Example:
        >>> majority_class(["ham", "spam", "ham"], 2, ["ham", "spam"]).argmax(dim=-1).tolist()
        [0, 0]
    """
    counts = Counter(train_labels)
    shares = torch.tensor([counts[name] / len(train_labels) for name in label_names])
    return shares.log().clamp(min=torch.finfo(torch.float32).min).expand(documents, -1)


def tfidf_svm(
    train_texts: Sequence[str],
    train_labels: Sequence[str],
    texts: Sequence[str],
    label_names: Sequence[str],
    *,
    words: int | None = None,
) -> Tensor:
    """Fit TF-IDF and a linear SVM, see `fit_tfidf_svm`, and score n `texts`: (n, C) float32."""
    return fit_tfidf_svm(train_texts, train_labels, label_names, words=words)(texts)


def fit_tfidf_svm(
    train_texts: Sequence[str], train_labels: Sequence[str], label_names: Sequence[str], *, words: int | None = None
) -> Callable[[Sequence[str]], Tensor]:
    """Fit TF-IDF (logarithmic term counts) and a linear SVM with balanced classes.

    Args:
        train_texts: the texts to fit on.
        train_labels: their labels, each one of `label_names`.
        label_names: C names; the order of the columns.
        words: read the first so many words of every text, in training and in scoring; None reads it whole.

    Returns:
        A function that scores n texts: (n, C) float32 distances to each label's hyperplane; a label that training lacks
        gets the lowest finite score.

    Raises:
        NysformerError: if the training labels are all one.

    Example:
        >>> score = fit_tfidf_svm(["meow purr", "bark", "meow"], ["cat", "dog", "cat"], ["cat", "dog"])
        >>> score(["a bark", "purr, meow"]).argmax(dim=-1).tolist()
        [1, 0]
    """
    if len(set(train_labels)) < 2:
        raise NysformerError("TF-IDF + SVM: the training documents all have one label: give two labels or more")
    pipeline = make_pipeline(TfidfVectorizer(sublinear_tf=True), LinearSVC(class_weight="balanced", random_state=0))
    pipeline.fit([first_words(text, words) for text in train_texts], list(train_labels))
    columns = [list(label_names).index(name) for name in pipeline.classes_]

    def score(texts: Sequence[str]) -> Tensor:
        read = [first_words(text, words) for text in texts]
        distances = np.asarray(pipeline.decision_function(read), dtype=np.float32)
        if distances.ndim == 1:  # scikit-learn gives two classes one column, positive for the second
            distances = np.stack([-distances, distances], axis=1)
        scores = torch.full((len(texts), len(label_names)), torch.finfo(torch.float32).min)
        scores[:, columns] = torch.from_numpy(distances)
        return scores

    return score


def first_words(text: str, words: int | None) -> str:
    """The first so many words of a text with one blank between; None for the text as it is.

    Example:
        >>> first_words("the  whole text", 2)
        'the whole'
    """
    return text if words is None else " ".join(text.split(maxsplit=words)[:words])
