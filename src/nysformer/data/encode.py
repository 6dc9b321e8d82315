"""Texts to token ids, cut to what a model reads, with their true lengths."""

from collections.abc import Sequence
from dataclasses import dataclass

from transformers import PreTrainedTokenizerBase

from nysformer.errors import NysformerError

__all__ = ["Encoded", "check_max_length", "encode"]


@dataclass(frozen=True, slots=True)
class Encoded:
    """One text: its token ids, special ones included, after the cut; its length in tokens before the cut."""

    input_ids: list[int]
    length: int

    @property
    def truncated(self) -> bool:
        """Whether the text lost its end."""
        return len(self.input_ids) < self.length


def encode(texts: Sequence[str], tokenizer: PreTrainedTokenizerBase, max_length: int) -> list[Encoded | None]:
    """Tokenize texts; None for one in which the tokenizer finds nothing, such as a lone zero-width space.

    Args:
        texts: any number.
        tokenizer: the model's.
        max_length: tokens a text may have; a longer one is cut by the tokenizer, special tokens keep their places.

    Raises:
        NysformerError: see `check_max_length`.
    """
    special = check_max_length(tokenizer, max_length)
    if not texts:
        return []
    only_ids = {"return_attention_mask": False, "return_token_type_ids": False}
    # Whole first, for the true length; not verbose, because a text past the model's length is what the cut is for.
    whole = tokenizer(list(texts), verbose=False, **only_ids)["input_ids"]
    return [
        None
        if len(ids) <= special
        else Encoded(ids, len(ids))
        if len(ids) <= max_length
        else Encoded(tokenizer(text, truncation=True, max_length=max_length, **only_ids)["input_ids"], len(ids))
        for text, ids in zip(texts, whole, strict=True)
    ]


def check_max_length(tokenizer: PreTrainedTokenizerBase, max_length: int) -> int:
    """The number of special tokens the tokenizer adds to a text.

    Raises:
        NysformerError: `max_length` leaves no room beside them.
    """
    special = int(tokenizer.num_special_tokens_to_add())
    if max_length <= special:
        raise NysformerError(
            f"a maximum length of {max_length} tokens leaves no room beside {special} special ones; raise --max-length"
        )
    return special
