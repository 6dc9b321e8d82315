"""Tokenizers that are trained: the same from the same documents, with the special tokens that a masked model needs."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from transformers import AutoTokenizer

from nysformer.data.records import Record
from nysformer.data.vocabulary import KINDS, TokenizerKind, train_tokenizer
from nysformer.errors import NysformerError

# Ties everywhere: this is where an order of hash tables would show.
TEXTS = [f"{a}{b}{c} {c}{b}{a}, {b}{a}{c}{a}!" for a in "abcdefgh" for b in "ijklmnop" for c in "qrst"]

PROGRAM = """
import json, sys
from nysformer.data.records import Record
from nysformer.data.vocabulary import train_tokenizer
texts, kind, size = json.load(sys.stdin)
print(json.dumps(train_tokenizer([Record(text, "a") for text in texts], kind, size, 64).get_vocab(), sort_keys=True))
"""


def records(texts: list[str]) -> list[Record]:
    return [Record(text, "a.txt", line) for line, text in enumerate(texts, start=1)]


@pytest.mark.parametrize("kind", KINDS)
def test_another_process_makes_the_same(kind: TokenizerKind) -> None:
    size = {"wordpiece": 150, "bpe": 320}[kind]
    here = train_tokenizer(records(TEXTS), kind, size, 64).get_vocab()
    process = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        input=json.dumps([TEXTS, kind, size]),
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(process.stdout) == here
    assert len(here) == size


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_whole_after_saving(kind: TokenizerKind, tmp_path: Path) -> None:
    trained = train_tokenizer(records(["the cat sat on the mat", "a cat, a mat"] * 3), kind, 320, 64)
    special = [trained.pad_token, trained.unk_token, trained.cls_token, trained.sep_token, trained.mask_token]
    assert special == ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    assert trained.convert_tokens_to_ids(special) == [0, 1, 2, 3, 4]
    trained.save_pretrained(tmp_path)
    again = AutoTokenizer.from_pretrained(tmp_path)
    text = "The cat \n sat on [MASK] mat"
    assert again(text).input_ids == trained(text).input_ids
    assert again(text).input_ids[0 :: len(again(text).input_ids) - 1] == [2, 3]
    assert again.model_max_length == 64
    assert again("a", "cat").token_type_ids[-1] == 1


def test_wordpiece_ignores_case_and_bpe_keeps_every_character() -> None:
    texts = records(["Ünder the Bridge"] * 2)
    assert train_tokenizer(texts, "wordpiece", 60, 64).tokenize("UNDER the") == ["under", "the"]
    by_bytes = train_tokenizer(texts, "bpe", 320, 64)
    for text in ("Ünder the  Bridge\n", "Zoë \N{GRINNING FACE}"):
        assert by_bytes.decode(by_bytes(text, add_special_tokens=False).input_ids) == text
    assert by_bytes.tokenize("the [MASK] Bridge") == ["the", " [MASK]", "ĠBridge"]


def test_rare_characters_are_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nysformer.data.vocabulary._CHARACTERS", 3)
    tokenizer = train_tokenizer(records(["a a b b c c d"] * 2), "wordpiece", 20, 64)
    assert tokenizer.tokenize("a d") == ["a", "[UNK]"]


@pytest.mark.parametrize(
    ("kind", "size", "words"),
    [
        ("bpe", 260, "vocab_size: 260 tokens are too few for the 256 bytes, and 5 special tokens; give at least 261"),
        ("wordpiece", 10, "vocab_size: 10 tokens are too few for the 3 characters of the documents.* at least 11"),
    ],
)
def test_too_small_a_vocabulary_is_refused(kind: TokenizerKind, size: int, words: str) -> None:
    with pytest.raises(NysformerError, match=words):
        train_tokenizer(records(["abc"]), kind, size, 64)
    assert len(train_tokenizer(records(["abc"]), kind, 261, 64)) >= 11
