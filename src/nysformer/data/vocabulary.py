"""Trains a tokenizer on documents: WordPiece or byte-level BPE, the same one from the same documents."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Literal, get_args

from tokenizers import AddedToken, Tokenizer, decoders, normalizers, pre_tokenizers
from tokenizers.models import BPE, WordPiece
from tokenizers.processors import TemplateProcessing
from tokenizers.trainers import BpeTrainer
from transformers import PreTrainedTokenizerBase, PreTrainedTokenizerFast

from nysformer.data.records import Record
from nysformer.errors import NysformerError

__all__ = ["KINDS", "TokenizerKind", "train_tokenizer"]

TokenizerKind = Literal["wordpiece", "bpe"]
KINDS: tuple[TokenizerKind, ...] = get_args(TokenizerKind)

_SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
_INSIDE = "##"
_CHARACTERS = 1000
"""So many characters, the most frequent ones, are word pieces by themselves; words with others are unknown."""


def train_tokenizer(
    documents: Sequence[Record], kind: TokenizerKind, vocab_size: int, max_length: int
) -> PreTrainedTokenizerBase:
    """Train a tokenizer on the texts of documents, which are read one at a time.

    The special tokens are [PAD], [UNK], [CLS], [SEP] and [MASK], ids 0 to 4. WordPiece ignores case and accents, as
    BERT's uncased one does; byte-level BPE keeps every character.

    Args:
        documents: at least one; they are read twice for WordPiece.
        kind: of the tokenizer.
        vocab_size: the most tokens it may have; few texts give fewer.
        max_length: tokens that its model reads at a time.

    Returns:
        The same tokenizer for the same documents, on every machine.

    Raises:
        NysformerError: `vocab_size` is too small for single characters, or bytes.

    Example:
        >>> tokenizer = train_tokenizer([Record("the cat, the hat", "a.txt")], "wordpiece", 40, 512)
        >>> tokenizer.tokenize("The cat"), tokenizer.mask_token_id
        (['the', 'c', '##at'], 4)
    """
    words = _wordpiece(documents, vocab_size) if kind == "wordpiece" else _byte_level(documents, vocab_size)
    words.post_processor = TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[(token, _SPECIAL.index(token)) for token in ("[CLS]", "[SEP]")],
    )
    pad, unknown, first, last, mask = _SPECIAL
    return PreTrainedTokenizerFast(
        tokenizer_object=words,
        pad_token=pad,
        unk_token=unknown,
        cls_token=first,
        sep_token=last,
        mask_token=AddedToken(mask, lstrip=kind == "bpe", normalized=False, special=True),
        model_max_length=max_length,
        model_input_names=["input_ids", "token_type_ids", "attention_mask"],
    )


def _byte_level(documents: Sequence[Record], vocab_size: int) -> Tokenizer:
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    _check(vocab_size, len(_SPECIAL) + len(alphabet), "the 256 bytes")
    words = Tokenizer(BPE())
    words.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    words.decoder = decoders.ByteLevel()
    trainer = BpeTrainer(
        vocab_size=vocab_size,
        min_frequency=2,
        # The blank before a word is a part of it, so that a mask stands for both.
        special_tokens=[*_SPECIAL[:-1], AddedToken(_SPECIAL[-1], lstrip=True, normalized=False, special=True)],
        initial_alphabet=alphabet,
        show_progress=False,
    )
    words.train_from_iterator(_texts(documents), trainer)
    return words


def _wordpiece(documents: Sequence[Record], vocab_size: int) -> Tokenizer:
    normalizer = normalizers.BertNormalizer(lowercase=True)
    counts: Counter[str] = Counter()
    for text in _texts(documents):
        counts.update(normalizer.normalize_str(text))
    ranked = sorted((each for each in counts if not each.isspace()), key=lambda each: (-counts[each], each))
    alphabet = sorted(ranked[:_CHARACTERS])
    # The library numbers the characters inside words in the order of a hash table, which differs from process to
    # process, and breaks ties by these numbers. Named beforehand, they have the same ones always.
    inside = [f"{_INSIDE}{each}" for each in alphabet]
    _check(
        vocab_size,
        len(_SPECIAL) + 2 * len(alphabet),
        f"the {len(alphabet):,} characters of the documents, each at the beginning of a word and inside",
    )
    words = Tokenizer(BPE(continuing_subword_prefix=_INSIDE))
    words.normalizer = normalizer
    words.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    trainer = BpeTrainer(
        vocab_size=vocab_size,
        min_frequency=2,
        special_tokens=[*_SPECIAL, *inside],
        initial_alphabet=alphabet,
        limit_alphabet=len(alphabet),
        continuing_subword_prefix=_INSIDE,
        show_progress=False,
    )
    words.train_from_iterator(_texts(documents), trainer)
    trained = Tokenizer(WordPiece(words.get_vocab(), unk_token=_SPECIAL[1], continuing_subword_prefix=_INSIDE))
    trained.normalizer = normalizer
    trained.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    trained.decoder = decoders.WordPiece(prefix=_INSIDE)
    return trained


def _texts(documents: Sequence[Record]) -> Iterator[str]:
    return (document.text for document in documents)


def _check(vocab_size: int, least: int, what: str) -> None:
    if vocab_size < least:
        raise NysformerError(
            f"vocab_size: {vocab_size:,} tokens are too few for {what}, and {len(_SPECIAL)} special tokens; give at "
            f"least {least:,}"
        )
