"""Tokens of a text with their characters, and the special tokens that a tokenizer puts around one text or two.

Shapes: n tokens of a text, special ones not among them.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from tokenizers import Encoding
from transformers import PreTrainedTokenizerBase

from nysformer.errors import NysformerError

__all__ = ["Encoder", "Frame", "Segment", "Tokens", "private_copy", "special_tokens"]

_PROBES = ("a", "0", ".", "the")


class Tokens:
    """The tokens of one text; what costs time is found when it is asked for.

    Attributes:
        ids: (n) token ids.
        offsets: (n) the characters of each, (start, end), as the tokenizer reports them.
        words: (n) the number of the word each is part of, from 0; -1 for none.
        unknown: the share of unknown tokens, from 0 to 1; 0 for a tokenizer that has no unknown token.

    Raises:
        NysformerError: `offsets` or `words` of a tokenizer written in Python.
    """

    def __init__(self, ids: list[int], unknown_id: int | None, encoding: Encoding | None = None) -> None:
        self.ids = ids
        self._encoding = encoding
        self._unknown_id = unknown_id

    @cached_property
    def unknown(self) -> float:
        return 0.0 if self._unknown_id is None else self.ids.count(self._unknown_id) / max(len(self.ids), 1)

    @cached_property
    def offsets(self) -> list[tuple[int, int]]:
        return self._details.offsets

    @cached_property
    def words(self) -> list[int]:
        return [-1 if word is None else word for word in self._details.word_ids]

    @property
    def _details(self) -> Encoding:
        if self._encoding is None:
            raise NysformerError(
                "the tokenizer is written in Python and does not say which characters a token stands for; save a fast "
                "one (tokenizer.json) beside the model"
            )
        return self._encoding


@dataclass(frozen=True, slots=True)
class Frame:
    """What stands around a document's tokens: special tokens, and another text where there are two.

    Attributes:
        prefix, suffix: token ids before and after.
        prefix_types, inner_type, suffix_types: token types of the prefix, the document and the suffix.
    """

    prefix: list[int]
    suffix: list[int]
    prefix_types: list[int]
    inner_type: int
    suffix_types: list[int]

    def __len__(self) -> int:
        """Tokens of prefix and suffix together."""
        return len(self.prefix) + len(self.suffix)

    def around(self, ids: Sequence[int]) -> tuple[list[int], list[int]]:
        """Ids and token types of the whole."""
        types = [*self.prefix_types, *([self.inner_type] * len(ids)), *self.suffix_types]
        return [*self.prefix, *ids, *self.suffix], types


@dataclass(frozen=True, slots=True)
class BuiltFrame(Frame):
    """The frame of a tokenizer written in Python, whose special tokens may depend on the ids they stand around.

    Attributes:
        tokenizer: puts them there.
    """

    tokenizer: PreTrainedTokenizerBase

    def __len__(self) -> int:
        return int(self.tokenizer.num_special_tokens_to_add())

    def around(self, ids: Sequence[int]) -> tuple[list[int], list[int]]:
        built = self.tokenizer.build_inputs_with_special_tokens(list(ids))
        return built, [0] * len(built)


class Encoder:
    """Tokenizes texts, and knows the special tokens around one text or two. Threads may share it; it can be pickled.

    It works on a copy of the tokenizer with truncation and padding switched off once, and nothing changes afterwards.

    Args:
        tokenizer: the model's; it is left as it is. One written in Python serves single texts, without characters.
        max_length: tokens that the model reads at a time, special ones included.

    Raises:
        NysformerError: `max_length` leaves no room beside the special tokens; a tokenizer that cannot be copied.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, max_length: int) -> None:
        special = int(tokenizer.num_special_tokens_to_add())
        if max_length <= special:
            raise NysformerError(
                f"a max_length of {max_length} tokens leaves no room beside {special} special ones; give at least "
                f"{special + 1}"
            )
        self.max_length = max_length
        self._tokenizer = private_copy(tokenizer)

    @cached_property
    def _single(self) -> list[Segment]:
        return special_tokens(self._tokenizer)

    @cached_property
    def _pair(self) -> list[Segment]:
        if not self._tokenizer.is_fast:
            raise NysformerError(
                f"the tokenizer ({type(self._tokenizer).__name__}) is written in Python and cannot join two texts "
                "here; save a fast one (tokenizer.json) beside the model"
            )
        return special_tokens(self._tokenizer, pair=True)

    def tokens(self, texts: Sequence[str]) -> list[Tokens]:
        """Tokenize texts, without special tokens."""
        if not texts:
            return []
        found = self._tokenizer(
            list(texts),
            add_special_tokens=False,
            verbose=False,
            return_attention_mask=False,
            return_token_type_ids=False,
        )
        details = found.encodings or [None] * len(texts)
        unknown = self._tokenizer.unk_token_id
        return [Tokens(ids, unknown, each) for ids, each in zip(found["input_ids"], details, strict=True)]

    def frame(self, other: Sequence[int] | None = None, *, document_first: bool = False) -> Frame:
        """What stands around a document.

        Args:
            other: tokens of a second text, such as a question; None where the document stands alone.
            document_first: the document is the first of the two texts, else the second.
        """
        if other is None and not self._tokenizer.is_fast:
            return BuiltFrame([], [], [], 0, [], self._tokenizer)
        if other is None:
            before, after = self._single
            return Frame(before.ids, after.ids, before.types, before.text_type, after.types)
        before, between, after = self._pair
        if document_first:
            return Frame(
                before.ids,
                [*between.ids, *other, *after.ids],
                before.types,
                before.text_type,
                [*between.types, *([between.text_type] * len(other)), *after.types],
            )
        return Frame(
            [*before.ids, *other, *between.ids],
            after.ids,
            [*before.types, *([before.text_type] * len(other)), *between.types],
            between.text_type,
            after.types,
        )


@dataclass(slots=True)
class Segment:
    """Special tokens with their types, and the type of the text that follows them."""

    ids: list[int]
    types: list[int]
    text_type: int = 0


def special_tokens(tokenizer: PreTrainedTokenizerBase, *, pair: bool = False) -> list[Segment]:
    """The special tokens before, between and after one text or two, from what a fast tokenizer does with short ones.

    Raises:
        NysformerError: the tokenizer finds no token in any of them.
    """
    for probe in _PROBES:
        texts = (probe, probe) if pair else (probe,)
        found = tokenizer(*texts, verbose=False, return_token_type_ids=True)
        owners = found.sequence_ids(0)
        if {owner for owner in owners if owner is not None} == set(range(len(texts))):
            return _split(found["input_ids"], found.get("token_type_ids") or [0] * len(owners), owners)
    raise NysformerError("the tokenizer finds no token in a plain letter, digit or word; save it again from its source")


def private_copy(tokenizer: PreTrainedTokenizerBase) -> PreTrainedTokenizerBase:
    """A copy that threads may share: truncation and padding are switched off once, and no call changes it.

    Raises:
        NysformerError: the tokenizer cannot be copied.
    """
    try:
        own = copy.deepcopy(tokenizer)
    except Exception as error:  # the tokenizers library raises bare Exceptions
        raise NysformerError(
            f"the tokenizer cannot be copied ({' '.join(str(error).split())}); threads would share its settings: give "
            "one without parts written in Python"
        ) from error
    backend = getattr(own, "_tokenizer", None)
    if own.is_fast and backend is not None:
        # A tokenizer.json may switch these on; switching them off per call would change the tokenizer under threads.
        backend.no_truncation()
        backend.no_padding()
        backend.encode_special_tokens = own.split_special_tokens
    return own


def _split(ids: Sequence[int], types: Sequence[int], owners: Sequence[int | None]) -> list[Segment]:
    segments = [Segment([], [])]
    inside: int | None = None
    for token, kind, owner in zip(ids, types, owners, strict=True):
        if owner is None:
            segments[-1].ids.append(token)
            segments[-1].types.append(kind)
        elif owner != inside:
            segments[-1].text_type = kind
            segments.append(Segment([], []))
        inside = owner if owner is not None else inside
    return segments
