"""Baselines for single words."""

import math

import pytest

from benchmarks.recipes.baselines.words import masked_tokens, tags, unigram


def test_each_word_gets_its_most_frequent_tag() -> None:
    train = [{"tokens": ["run", "run", "run", "dog", "cat", "fly"], "tags": ["V", "V", "N", "N", "N", "N"]}]
    test = [{"tokens": ["run", "dog", "unseen"], "tags": ["V", "N", "N"]}]
    figures = tags(train, test)
    assert figures["most frequent tag of the word"]["accuracy"] == 1.0
    assert figures["most frequent tag"]["accuracy"] == pytest.approx(2 / 3)


def test_unigram_of_uniform_tokens() -> None:
    figures = unigram([[0, 1, 2, 3]], [[3, 2], [1, 0]], vocabulary=4)
    assert figures["loss"] == pytest.approx(math.log(4))
    assert figures["perplexity"] == pytest.approx(4)
    assert figures["accuracy"] == pytest.approx(0.25)


def test_masked_tokens_reads_without_special_ones() -> None:
    class Letters:
        def __len__(self) -> int:
            return 3

        def __call__(self, text: str, *, add_special_tokens: bool, verbose: bool) -> dict[str, list[int]]:
            assert not add_special_tokens
            return {"input_ids": ["abc".index(letter) for letter in text]}

    figures = masked_tokens([{"text": "aab"}], [{"text": "ab"}], Letters())
    assert figures["unigram"]["accuracy"] == 0.5
