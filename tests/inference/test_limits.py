from typing import Any

import pytest
from tiny import letter_tokenizer

from nysformer import NystromformerConfig
from nysformer.errors import NysformerError
from nysformer.inference.limits import checked_limits


def config(**settings: Any) -> NystromformerConfig:
    return NystromformerConfig(**{"vocab_size": len(letter_tokenizer()), "max_position_embeddings": 64, **settings})


def test_as_many_tokens_as_positions_by_default() -> None:
    assert checked_limits(config(), letter_tokenizer(), None, 100) == (64, 100)
    assert checked_limits(config(), letter_tokenizer(), 10, 1) == (10, 1)


def test_a_model_without_positions_reads_any_length() -> None:
    assert checked_limits(config(position_embedding_type="none"), letter_tokenizer(), 1000, 1) == (1000, 1)


@pytest.mark.parametrize(
    ("max_length", "budget", "message"),
    [
        (65, 1, "max_length of 65 tokens is past the model's position table of 64"),
        (10, 0, "tokens_per_batch: a budget of 0 tokens holds nothing"),
        (2.5, 1, "max_length is 2.5: give a whole number"),
        (None, True, "tokens_per_batch is True: give a whole number"),
    ],
)
def test_what_cannot_be_is_refused(max_length: Any, budget: Any, message: str) -> None:
    with pytest.raises(NysformerError, match=message):
        checked_limits(config(), letter_tokenizer(), max_length, budget)


def test_a_tokenizer_with_more_tokens_than_the_model() -> None:
    with pytest.raises(NysformerError, match="use the model's own one"):
        checked_limits(config(vocab_size=5), letter_tokenizer(), None, 1)
