"""What a run trains on: cut, counted, split by label."""

import dataclasses
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from tiny import letter_tokenizer

from nysformer.errors import NysformerError
from nysformer.training.corpus import Corpus, build_corpus, read_documents
from nysformer.training.options import FinetuneOptions

Options = Callable[..., FinetuneOptions]


def corpus(options: FinetuneOptions) -> Corpus:
    return build_corpus(read_documents(options), options, letter_tokenizer(), 256)


def test_what_is_cut_is_counted(options: Options) -> None:
    built = corpus(options(max_length=50))
    assert built.max_length == 50
    assert max(built.lengths("train")) == 50
    assert all(len(ids) <= 50 for ids in built.parts["train"]["input_ids"])
    assert built.lengths("train") == [len(ids) for ids in built.parts["train"]["input_ids"]]
    assert built.truncated["train"] == sum(length > 50 for length in built.parts["train"]["length"])
    described = built.as_json()
    assert described["train"]["tokens"] == sum(built.lengths("train"))
    assert described["valid"]["labels"] == {"law": 12, "letter": 4, "poem": 8}


def test_a_held_out_share_keeps_the_labels_shares_and_takes_each_document_once(options: Options) -> None:
    built = corpus(options(valid=(), valid_share=0.2))
    train, valid = built.parts["train"], built.parts["valid"]
    assert Counter(valid["labels"]) == {0: 6, 1: 2, 2: 4}
    assert len(set(train["source"]) | set(valid["source"])) == len(train) + len(valid) == 60
    again, other = corpus(options(valid=(), valid_share=0.2)), corpus(options(valid=(), valid_share=0.2, seed=1))
    assert again.fingerprint == built.fingerprint != other.fingerprint


def test_the_fingerprint_is_of_lengths_and_labels(options: Options) -> None:
    built = corpus(options())
    assert corpus(options(max_length=99)).fingerprint == built.fingerprint, "the cut is an option of its own"
    parts = built.parts | {"train": built.parts["train"].select(range(59))}
    assert dataclasses.replace(built, parts=parts).fingerprint != built.fingerprint


def test_what_cannot_be_trained_on_is_refused(options: Options, tmp_path: Path) -> None:
    one_label, lone = tmp_path / "one.csv", tmp_path / "lone.csv"
    one_label.write_text("text,label\na,x\nb,x\n", encoding="utf-8")
    lone.write_text("text,label\na,x\nb,x\nc,x\nd,y\n", encoding="utf-8")
    with pytest.raises(NysformerError, match=r"every document has the same label \(x\)"):
        corpus(options(train=(str(one_label),)))
    with pytest.raises(NysformerError, match=r"lone\.csv:2: the label 'x' is none of those"):
        corpus(options(valid=(str(lone),)))
    with pytest.raises(NysformerError, match=r"valid_share: 0\.5: .* give validation documents"):
        corpus(options(train=(str(lone),), valid=(), valid_share=0.5))
