from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from nysformer.errors import NysformerError
from nysformer.tasks.alignment import Span, check_spans, first_tokens, spans_of_tags, tags_of_spans, tight_offsets

CORPUS = ["the harbour office opens at seven", "café au lait", "ships pay £240 by day", "naïve coöperation 😀"] * 20
WEIRD = [
    "plain words here",
    "two  blanks\tand a tab",
    "lines\r\nbreak\r\n\r\nhere",
    "cafe\u0301 nai\u0308ve",
    "smile 😀 family 👩‍👩‍👧 flag 🇩🇪 done",
    "Grüße aus Köln",
    "x\u00a0y\u2028z",
    "tail blank ",
]


def wordpiece() -> Tokenizer:
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.train_from_iterator(CORPUS, trainers.WordPieceTrainer(vocab_size=200, special_tokens=["[UNK]"]))
    return tokenizer


def byte_level(trim: bool) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, trim_offsets=trim)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    tokenizer.train_from_iterator(CORPUS, trainers.BpeTrainer(vocab_size=400, initial_alphabet=alphabet))
    return tokenizer


def sentencepiece() -> Tokenizer:
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKD(), normalizers.StripAccents()])
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    trainer = trainers.UnigramTrainer(vocab_size=120, special_tokens=["<unk>"], unk_token="<unk>")
    tokenizer.train_from_iterator(CORPUS, trainer)
    return tokenizer


TOKENIZERS = {
    "wordpiece": wordpiece,
    "byte-level": lambda: byte_level(False),
    "byte-level, trimmed": lambda: byte_level(True),
    "sentencepiece": sentencepiece,
}


@pytest.mark.parametrize("kind", TOKENIZERS)
@pytest.mark.parametrize("text", WEIRD)
def test_every_word_comes_back_whole_from_its_tokens(kind: str, text: str) -> None:
    offsets = tight_offsets(text, TOKENIZERS[kind]().encode(text).offsets)
    words, place = [], 0
    for word in text.split():
        start = text.index(word, place)
        words.append((start, start + len(word)))
        place = start + len(word)
    for start, end in words:
        inside = [(a, b) for a, b in offsets if a < end and b > start and a < b]
        assert (min(a for a, _ in inside), max(b for _, b in inside)) == (start, end), text[start:end]
    assert all(not text[a:b] or text[a:b] == text[a:b].strip() for a, b in offsets)
    firsts = first_tokens(words, offsets)
    assert None not in firsts
    assert firsts == sorted(set(firsts))  # type: ignore[type-var]


@given(st.lists(st.tuples(st.integers(1, 5), st.sampled_from(["A", "B", None])), min_size=1, max_size=12))
def test_spans_and_tags_are_two_forms_of_one_thing(runs: list[tuple[int, str | None]]) -> None:
    units, spans, word = [], [], 0
    for length, label in runs:
        start = 3 * word
        units += [(3 * i, 3 * i + 2) for i in range(word, word + length)]
        word += length
        if label is not None:
            spans.append(Span(start, 3 * (word - 1) + 2, label))
    tags = tags_of_spans(spans, units)
    assert list(spans_of_tags(tags, units)) == spans


def test_a_span_inside_a_word_marks_the_whole_word() -> None:
    assert tags_of_spans([Span(2, 3, "X")], [(0, 4), (5, 8)]) == ["B-X", "O"]


@pytest.mark.parametrize("span", [Span(3, 3, "X"), Span(-1, 2, "X"), Span(0, 99, "X")])
def test_spans_outside_the_text_are_refused(span: Span, tmp_path: Path) -> None:
    with pytest.raises(NysformerError, match=r"a\.jsonl:3.*outside"):
        check_spans([span], "some text", "a.jsonl:3")


def test_overlapping_spans_are_refused() -> None:
    with pytest.raises(NysformerError, match="overlap"):
        check_spans([Span(0, 5, "X"), Span(4, 6, "Y")], "some text", "a.jsonl:3")
