"""Baselines for labels of whole texts, on data a child could learn."""

import pytest

from benchmarks.recipes.baselines.texts import label_sets, numbers, several_names, single_labels

ANIMALS = [("red fox runs", "fox"), ("blue whale swims", "whale"), ("grey wolf howls", "wolf")]


def test_one_of_several_names() -> None:
    rows = [{"text": text, "label": label} for text, label in ANIMALS for _ in range(3)]
    rows.append({"text": "red fox again", "label": "fox"})
    figures = single_labels(rows, rows)
    assert figures["majority"]["accuracy"] == pytest.approx(0.4)
    assert figures["TF-IDF + linear SVM, whole"] == {"accuracy": 1.0, "macro_f1": 1.0}


def test_the_first_words_alone_are_read() -> None:
    rows = [{"text": "same " * 350 + word, "label": label} for word, label in ANIMALS for _ in range(3)]
    figures = single_labels(rows, rows)
    assert figures["TF-IDF + linear SVM, first 350 words"]["accuracy"] == pytest.approx(1 / 3)
    assert figures["TF-IDF + linear SVM, whole"]["accuracy"] == 1.0


def test_a_set_of_names() -> None:
    rows = [{"text": "red fox", "label": ["a"]}, {"text": "blue whale", "label": ["b"]}] * 3
    rows += [{"text": "red fox blue whale", "label": ["a", "b"]}] * 3
    figures = label_sets(rows, rows)
    assert figures["TF-IDF + linear SVM per label, whole"] == {
        "micro_f1": 1.0,
        "macro_f1": 1.0,
        "average_precision": pytest.approx(1.0),
    }
    assert figures["most frequent label"]["micro_f1"] == pytest.approx(2 * 6 / (9 + 12))


def test_a_number() -> None:
    rows = [{"text": "old " * count + "new " * (9 - count), "label": float(count)} for count in range(1, 9)]
    figures = numbers(rows, rows)
    assert figures["mean"] == {"rmse": pytest.approx(5.25**0.5)}
    assert figures["TF-IDF + ridge, whole"]["spearman"] == pytest.approx(1.0)
    assert figures["TF-IDF + ridge, whole"]["rmse"] < figures["mean"]["rmse"]


def test_one_of_the_given_choices() -> None:
    train = [
        {"context": text, "choices": ["fox", "whale", "wolf", "owl"], "label": place}
        for place, (text, _) in enumerate(ANIMALS)
    ]
    test = [
        {"context": "a fox runs", "choices": ["owl", "fox", "whale", "wolf"], "label": 1},
        {"context": "the wolf howls", "choices": ["whale", "wolf"], "label": 1},
    ]
    figures = several_names(train, test)
    assert figures["chance"]["accuracy"] == pytest.approx(0.375)
    assert figures["TF-IDF, nearest choice"]["accuracy"] == 1.0
    assert figures["TF-IDF, linear SVM among the choices"]["accuracy"] == 1.0
