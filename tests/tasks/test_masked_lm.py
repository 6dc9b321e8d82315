from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny import letter_tokenizer
from tokenizers import Tokenizer, decoders
from tokenizers.models import Unigram
from tokenizers.pre_tokenizers import Metaspace
from transformers import PreTrainedTokenizerBase, PreTrainedTokenizerFast

from nysformer.data.framing import Encoder
from nysformer.data.records import Record
from nysformer.data.vocabulary import train_tokenizer
from nysformer.errors import NysformerError
from nysformer.models import NystromformerConfig
from nysformer.models.losses import IGNORED
from nysformer.tasks.encode import encode_records
from nysformer.tasks.masked_lm import MaskedLM, MaskingOptions
from nysformer.tasks.reading import Reading

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


TEXT = "the unbelievable cat  unbelievably\nsat, un-cat \u732b"


def sentencepiece(split: bool) -> PreTrainedTokenizerBase:
    """Unigram pieces with a blank's mark; without `split` the whole text is one word to the tokenizer."""
    pieces = ["<unk>", "<s>", "</s>", "<pad>", "<mask>", "\u2581"]
    pieces += ["\u2581the", "\u2581un", "un", "believ", "able", "ably", "\u2581cat", "cat", "sat", ",", "-", "\n"]
    words = Tokenizer(Unigram([(piece, -float(number)) for number, piece in enumerate(pieces)], unk_id=0))
    words.pre_tokenizer = Metaspace(split=split)
    words.decoder = decoders.Metaspace()
    return PreTrainedTokenizerFast(tokenizer_object=words, unk_token="<unk>", pad_token="<pad>", mask_token="<mask>")


def tokenizers() -> dict[str, PreTrainedTokenizerBase]:
    parts = [Record("the un believ able ably cat sat", "a")] * 2
    trained = {
        "wordpiece": train_tokenizer(parts, "wordpiece", 60, 64),
        "bpe": train_tokenizer(parts, "bpe", 270, 64),
    }
    return {**trained, "sentencepiece": sentencepiece(True), "sentencepiece of one word": sentencepiece(False)}


@pytest.mark.parametrize("kind", list(tokenizers()))
def test_words_are_those_between_blanks_or_smaller_whatever_the_tokenizer(kind: str) -> None:
    tokenizer = tokenizers()[kind]
    task = MaskedLM.from_records((), {"whole_words": True}, tokenizer=tokenizer)
    (encoding,) = encode_records([Record(TEXT, "a")], task, Encoder(tokenizer, 99), Reading(), labelled=True)
    (example,) = encoding.examples
    encoded = tokenizer(TEXT, add_special_tokens=False, return_offsets_mapping=True)
    of_text = [word for word in example.targets["words"] if word >= 0]
    assert len(of_text) == len(encoded.input_ids)
    words: dict[int, list[tuple[int, int]]] = {}
    for word, (start, end) in zip(of_text, encoded.offset_mapping, strict=True):
        words.setdefault(word, []).append((start, end))
    spelled = [TEXT[min(s for s, _ in spans) : max(e for _, e in spans)].strip() for spans in words.values()]
    spelled = [word for word in spelled if word]
    assert not any(any(map(str.isspace, word)) for word in spelled)
    assert {"the", "unbelievable", "cat", "unbelievably"} <= set(spelled)
    assert "".join(spelled) == "".join(TEXT.split())


def test_candidates_are_spelled_as_text() -> None:
    for tokenizer in tokenizers().values():
        task = MaskedLM.from_records((), {}, tokenizer=tokenizer)
        record = Record("cat", "a")
        (encoding,) = encode_records([record], task, Encoder(tokenizer, 9), Reading(), labelled=False)
        word = tokenizer(" cat", add_special_tokens=False).input_ids[-1]
        answer = task.decode(record, encoding, [np.array([[[word, 0.0]]])])
        assert answer.masks == ((("cat", 1.0),),)


def test_single_tokens_need_no_words_of_the_tokenizer(encode: Encode) -> None:
    encoding = encode(MaskedLM(options()), Record("a bc", "a"), True)
    assert encoding.examples[0].targets["words"][0] == -1
    assert set(encoding.examples[0].targets["words"][1:-1]) == {0}


def test_a_model_is_measured_as_it_was_trained() -> None:
    tokenizer = sentencepiece(True)
    config = NystromformerConfig()
    assert MaskedLM.from_config(config, tokenizer).masking.mask_fraction == 0.15
    config.masking = {"mask_fraction": 0.3, "whole_words": True}
    task = MaskedLM.from_config(config, tokenizer)
    assert task.masking.as_config() == config.masking
    for wrong in ({"mask_fraction": "a lot", "whole_words": True}, [0.3], {"mask_fraction": 0.3}):
        config.masking = wrong
        with pytest.raises(NysformerError, match=r"masking: .* is not what a training writes"):
            MaskedLM.from_config(config, tokenizer)


@pytest.mark.parametrize("overlap", [0.0, 0.5])
@pytest.mark.parametrize("count", [8, 9, 30])
def test_windows_ask_for_each_token_once(overlap: float, count: int) -> None:
    tokenizer = train_tokenizer([Record("a b c d", "a")], "wordpiece", 60, 64)
    task = MaskedLM.from_records((), {}, tokenizer=tokenizer)
    reading, encoder = Reading(strategy="windows", overlap=overlap), Encoder(tokenizer, 10)
    record = Record(" ".join(["a", "[MASK]", "b"] * count)[: 4 * count], "a")
    tokens = len(tokenizer(record.text, add_special_tokens=False).input_ids)
    (encoding,) = encode_records([record], task, encoder, reading, labelled=True)
    assert not encoding.truncated
    assert sum(word >= 0 for example in encoding.examples for word in example.targets["words"]) == tokens
    (asked,) = encode_records([record], task, encoder, reading, labelled=False)
    outputs = [np.zeros((example.input_ids.count(4), 1, 2)) for example in asked.examples]
    assert len(task.decode(record, asked, outputs).masks) == record.text.count("[MASK]")
