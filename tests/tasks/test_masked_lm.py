from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny import letter_tokenizer

from nysformer.data.records import Record
from nysformer.errors import NysformerError
from nysformer.models.losses import IGNORED
from nysformer.tasks.masked_lm import MaskedLM, MaskingOptions

Encode = Callable[..., Any]
Learn = Callable[..., tuple[list[Any], dict[str, Any]]]

SPECIAL = frozenset({0, 2, 3})


def options(**settings: Any) -> MaskingOptions:
    return MaskingOptions(**{"mask_token_id": 1, "vocab_size": 56, "special_ids": SPECIAL, **settings})


def test_texts_are_learnt(learn: Learn) -> None:
    records = [Record("ab ab ab ab ab ab", "a"), Record("xy xy xy xy xy xy", "b")]
    _, metrics = learn(MaskedLM(options(mask_fraction=0.3)), records, steps=200)
    assert metrics["accuracy"] > 0.8
    assert metrics["perplexity"] == pytest.approx(np.exp(metrics["loss"]))


def test_options_of_other_tasks_are_left_alone() -> None:
    tokenizer = letter_tokenizer()
    tokenizer.add_special_tokens({"mask_token": "[MASK]"})
    task = MaskedLM.from_records([], {"problem_type": None, "whole_words": True}, tokenizer=tokenizer)
    assert task.masking.whole_words


@given(st.booleans(), st.floats(0.1, 0.9), st.integers(0, 1000))
def test_masks_follow_from_the_seed_and_spare_special_tokens(whole: bool, fraction: float, seed: int) -> None:
    task = MaskedLM(options(mask_fraction=fraction, whole_words=whole))
    ids = np.random.default_rng(seed).integers(4, 56, size=(3, 40))
    words = np.sort(np.random.default_rng(seed).integers(0, 12, size=(3, 40)), axis=1)
    ids[:, 0], ids[:, -1], words[:, 0], words[:, -1] = 2, 3, -1, -1
    masked, labels = task.mask(ids, words, np.random.default_rng(seed))
    again = task.mask(ids, words, np.random.default_rng(seed))
    assert (masked == again[0]).all()
    assert (labels == again[1]).all()
    asked = labels != IGNORED
    assert (labels[asked] == ids[asked]).all()
    assert (masked[~asked] == ids[~asked]).all()
    assert not asked[:, 0].any()
    assert not asked[:, -1].any()
    if whole:
        for row in range(3):
            for word in range(12):
                inside = asked[row][words[row] == word]
                assert inside.all() or not inside.any()


def test_fifteen_of_a_hundred_are_masked_and_eight_of_ten_of_them_by_the_mask() -> None:
    ids = np.full((20, 2000), 7)
    masked, labels = MaskedLM(options()).mask(ids, np.zeros_like(ids), np.random.default_rng(0))
    asked = labels != IGNORED
    assert asked.mean() == pytest.approx(0.15, abs=0.01)
    assert (masked[asked] == 1).mean() == pytest.approx(0.8, abs=0.03)
    assert (masked[asked] == 7).mean() == pytest.approx(0.1 + 0.1 / 56, abs=0.03)


def test_masking_without_a_seed_or_with_an_impossible_share_is_refused(encode: Encode) -> None:
    task = MaskedLM(options())
    encoding = encode(task, Record("a b c", "a"), True)
    assert encoding is not None
    with pytest.raises(ValueError, match="rng"):
        task.collate(encoding.examples, 0)
    with pytest.raises(NysformerError, match="mask_fraction"):
        options(mask_fraction=1.5)
