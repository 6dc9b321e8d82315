"""Texts to token ids, cut to what a model reads, with their true lengths."""

from collections.abc import Sequence
from dataclasses import dataclass

from transformers import PreTrainedTokenizerBase

from nysformer.data.framing import private_copy, special_tokens
from nysformer.errors import NysformerError

__all__ = ["Encoded", "TextEncoder", "check_max_length", "encode"]


@dataclass(frozen=True, slots=True)
class Encoded:
    """One text as a model reads it.

    Attributes:
        input_ids: its token ids after the cut, special tokens included.
        length: its length in tokens before the cut, special tokens included.
        unknown: share of unknown tokens among those of `input_ids` that are text, from 0 to 1; 0 for a tokenizer that
            has no unknown token.
    """

    input_ids: list[int]
    length: int
    unknown: float = 0.0

    @property
    def truncated(self) -> bool:
        """Whether the text was cut."""
        return len(self.input_ids) < self.length


class TextEncoder:
    """Tokenizes each text once, without truncation, and cuts the result between the special tokens.

    The result is that of the tokenizer's own truncation. Threads may share an encoder: it works on a copy of the
    tokenizer with truncation and padding switched off once, and nothing changes afterwards. It can be pickled.

    Args:
        tokenizer: the model's; it is left as it is.
        max_length: tokens that a text may have, special ones included; a longer one is cut on the tokenizer's
            `truncation_side`.

    Raises:
        NysformerError: as `check_max_length`; a tokenizer that cannot be copied.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, max_length: int) -> None:
        self._special = check_max_length(tokenizer, max_length)
        self._tokenizer = private_copy(tokenizer)
        # A tokenizer written in Python may add special tokens by what the text holds, so it adds them after the cut.
        self._cuts_first = not self._tokenizer.is_fast
        self._before = 0 if self._cuts_first else len(special_tokens(self._tokenizer)[0].ids) if self._special else 0
        self._room = max_length - self._special
        self._cut_left = self._tokenizer.truncation_side == "left"
        self._unknown_id = self._tokenizer.unk_token_id

    def __call__(self, texts: Sequence[str]) -> list[Encoded | None]:
        """Tokenize texts; None for one in which the tokenizer finds nothing, such as a lone zero-width space."""
        if not texts:
            return []
        found = self._tokenizer(
            list(texts),
            add_special_tokens=not self._cuts_first,
            verbose=False,  # a text past the model's length is what the cut is for
            return_attention_mask=False,
            return_token_type_ids=False,
        )["input_ids"]
        return [self._encoded(ids) for ids in found]

    def _encoded(self, ids: list[int]) -> Encoded | None:
        end = len(ids) if self._cuts_first else len(ids) - self._special + self._before
        tokens = end - self._before
        if tokens <= 0:
            return None
        dropped = max(0, tokens - self._room)
        text = ids[self._before + dropped : end] if self._cut_left else ids[self._before : end - dropped]
        unknown = 0 if self._unknown_id is None else text.count(self._unknown_id)
        if self._cuts_first:
            add = self._tokenizer.build_inputs_with_special_tokens
            kept = add(text)
            length = len(add(ids)) if dropped else len(kept)
        else:
            kept = [*ids[: self._before], *text, *ids[end:]] if dropped else ids
            length = len(ids)
        return Encoded(kept, length, unknown / len(text))


def encode(texts: Sequence[str], tokenizer: PreTrainedTokenizerBase, max_length: int) -> list[Encoded | None]:
    """Tokenize texts with a `TextEncoder` that is made for this one call.

    Raises:
        NysformerError: as `TextEncoder`.
    """
    return TextEncoder(tokenizer, max_length)(texts)


def check_max_length(tokenizer: PreTrainedTokenizerBase, max_length: int) -> int:
    """The number of special tokens that the tokenizer adds to a text.

    Raises:
        NysformerError: `max_length` leaves no room beside them.
    """
    special = int(tokenizer.num_special_tokens_to_add())
    if max_length <= special:
        raise NysformerError(
            f"a max_length of {max_length} tokens leaves no room beside {special} special ones; give at least "
            f"{special + 1}"
        )
    return special
