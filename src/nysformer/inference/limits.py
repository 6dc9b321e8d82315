"""How much a model may be given to read at a time."""

import operator
from typing import Any

from transformers import PreTrainedTokenizerBase

from nysformer.errors import NysformerError
from nysformer.models import NystromformerConfig

__all__ = ["checked_limits", "checked_numbers", "trained_length"]


def checked_numbers(max_length: Any, tokens_per_batch: Any) -> tuple[int | None, int]:
    """Both as plain numbers, before a model is loaded.

    Raises:
        NysformerError: one of them is not a whole number, or the budget is empty.
    """
    longest = None if max_length is None else _whole("max_length", max_length)
    budget = _whole("tokens_per_batch", tokens_per_batch)
    if budget < 1:
        raise NysformerError(f"tokens_per_batch: a budget of {budget} tokens holds nothing; give at least 1")
    return longest, budget


def checked_limits(
    config: NystromformerConfig, tokenizer: PreTrainedTokenizerBase, max_length: Any, tokens_per_batch: Any
) -> tuple[int, int]:
    """Both as plain numbers that suit a model.

    Args:
        config: of the model.
        tokenizer: that is used with it.
        max_length: tokens read at a time; None: as many as the model has positions for.
        tokens_per_batch: real tokens per batch.

    Raises:
        NysformerError: as `checked_numbers`; a maximum length past the position table; a tokenizer with more tokens
            than the model.
    """
    longest, budget = checked_numbers(max_length, tokens_per_batch)
    positions = config.max_position_embeddings
    if longest is not None and longest > positions and config.position_embedding_type != "none":
        raise NysformerError(
            f"a max_length of {longest} tokens is past the model's position table of {positions}; lower it, or extend "
            "the table: model.extend_positions"
        )
    if len(tokenizer) > config.vocab_size:
        raise NysformerError(
            f"the tokenizer knows {len(tokenizer)} tokens, the model {config.vocab_size}; use the model's own one"
        )
    return positions if longest is None else longest, budget


def trained_length(config: NystromformerConfig) -> int | None:
    """Up to where a converted encoder keeps the numbers it was trained with; None where nothing is said of that."""
    if config.resolved_attention_mode != "auto" or not config.softmax_max_length:
        return None
    return min(config.softmax_max_length, config.max_position_embeddings)


def _whole(name: str, value: Any) -> int:
    try:
        if isinstance(value, bool):
            raise TypeError
        return operator.index(value)
    except TypeError:
        raise NysformerError(f"{name} is {value!r}: give a whole number, such as 512") from None
