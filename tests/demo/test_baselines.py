"""Baselines give every label its column, in the order asked for."""

import pytest
import torch

from nysformer.demo.baselines import majority_class, tfidf_svm
from nysformer.errors import NysformerError

NAMES = ["absent", "cat", "dog", "eel"]
TRAIN = ["purr meow purr", "meow whiskers", "bark bark fetch", "fetch bone bark", "swim slither", "slither river swim"]
LABELS = ["cat", "cat", "dog", "dog", "eel", "eel"]


def test_the_majority_class_is_the_commonest() -> None:
    logits = majority_class(["dog", "cat", "dog"], 3, NAMES)
    assert logits.shape == (3, 4)
    assert logits.argmax(dim=-1).tolist() == [2, 2, 2]
    assert torch.isfinite(logits).all()


def test_the_svm_learns_and_keeps_the_columns() -> None:
    logits = tfidf_svm(TRAIN, LABELS, ["meow", "a bone to fetch", "in the river"], NAMES)
    assert logits.shape == (3, 4)
    assert logits.argmax(dim=-1).tolist() == [1, 2, 3]
    assert torch.isfinite(logits).all()


def test_two_classes() -> None:
    logits = tfidf_svm(TRAIN[:4], LABELS[:4], ["meow", "bark"], NAMES)
    assert logits.argmax(dim=-1).tolist() == [1, 2]


def test_the_first_words_are_all_that_is_read() -> None:
    whole, first = "bark meow meow meow meow", "bark"
    same = [tfidf_svm(TRAIN, LABELS, [text], NAMES, words=1) for text in (whole, first)]
    torch.testing.assert_close(same[0], same[1])
    assert tfidf_svm(TRAIN, LABELS, [whole], NAMES).argmax() == 1


def test_one_label_cannot_be_learned() -> None:
    with pytest.raises(NysformerError, match="two labels"):
        tfidf_svm(["a b", "c d"], ["dog", "dog"], ["a b"], NAMES)
