"""Lengths before the cut, ids after it, labels by name."""

import errno
import os

import datasets
import pytest
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

from nysformer.data.tokens import encode_labels, label_table, tokenize
from nysformer.errors import NysformerError


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerFast:
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *(f"w{i}" for i in range(50))]
    backend = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="[UNK]"))
    backend.pre_tokenizer = pre_tokenizers.Whitespace()
    backend.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        model_max_length=10,
    )


def documents(*texts: str, labels: list[str] | None = None) -> datasets.Dataset:
    return datasets.Dataset.from_dict(
        {
            "text": list(texts),
            "label": labels or ["x"] * len(texts),
            "source": [f"a.jsonl:{i}" for i in range(1, len(texts) + 1)],
        }
    )


def test_a_long_document_loses_its_end_and_keeps_its_special_tokens(
    tokenizer: PreTrainedTokenizerFast, caplog: pytest.LogCaptureFixture
) -> None:
    long = " ".join(f"w{i}" for i in range(40))
    tokens = tokenize(documents("w0 w1", long, "w2 w3 w4 w5"), tokenizer, max_length=6)
    assert tokens["input_ids"][:] == [[2, 4, 5, 3], [2, 4, 5, 6, 7, 3], [2, 6, 7, 8, 9, 3]]
    assert tokens["length"][:] == [4, 42, 6]
    assert tokens["truncated"][:] == [False, True, False]
    assert sorted(tokens.column_names) == ["input_ids", "label", "length", "source", "truncated"]
    assert not caplog.records, "a length past the tokenizer's own limit is what the cut is for"


def test_no_room_beside_the_special_tokens(tokenizer: PreTrainedTokenizerFast) -> None:
    with pytest.raises(NysformerError, match="leaves no room beside 2 special"):
        tokenize(documents("w0"), tokenizer, max_length=2)


def test_a_document_without_tokens_is_named() -> None:
    bare = Tokenizer(models.WordLevel({"a": 0, "[UNK]": 1}, unk_token="[UNK]"))
    bare.pre_tokenizer = pre_tokenizers.Whitespace()
    with pytest.raises(NysformerError, match=r"a\.jsonl:2: the tokenizer finds no token"):
        tokenize(documents("a", " "), PreTrainedTokenizerFast(tokenizer_object=bare), max_length=4)


def test_labels_are_sorted_by_name_and_numbers_by_value() -> None:
    assert label_table(documents("w0", "w1", "w2", labels=["b", "a", "b"])) == ["a", "b"]
    assert label_table(documents("w0", "w1", "w2", labels=["10", "-1", "9"])) == ["-1", "9", "10"]
    assert label_table(documents("w0", "w1", labels=["10", "9a"])) == ["10", "9a"]


def test_labels_become_indices() -> None:
    encoded = encode_labels(documents("w0", "w1", "w2", labels=["b", "a", "b"]), ["a", "b"])
    assert encoded["labels"][:] == [1, 0, 1]
    assert "label" not in encoded.column_names


def test_a_label_that_training_lacks_is_named_with_its_document() -> None:
    with pytest.raises(
        NysformerError, match=r"a\.jsonl:2: the label 'c' is none of those the model is trained on \(a, b\)"
    ):
        encode_labels(documents("w0", "w1", labels=["a", "c"]), ["a", "b"])


def test_names_of_a_model_from_elsewhere_are_matched_by_their_normal_spelling() -> None:
    encoded = encode_labels(documents("w0", "w1", "w2", labels=["true", "1", "b"]), ["True", "1.0", "b"])
    assert encoded["labels"][:] == [0, 1, 2]


def test_a_label_in_another_case_is_pointed_out() -> None:
    with pytest.raises(NysformerError, match=r"the label 'ham' is none of .*; 'Ham' differs only in case"):
        encode_labels(documents("w0", labels=["ham"]), ["Ham", "spam"])


def test_a_full_disk_is_one_line(tokenizer: PreTrainedTokenizerFast, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(datasets.Dataset, "map", full)
    with pytest.raises(NysformerError, match="No space left"):
        tokenize(documents("w0"), tokenizer, max_length=8)
