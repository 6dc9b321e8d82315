"""What a run trains on: cut, counted, split by label."""

import dataclasses
import json
import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from tiny import LETTERS, letter_tokenizer

from nysformer.errors import NysformerError
from nysformer.training.corpus import Corpus, build_corpus
from nysformer.training.documents import read_documents
from nysformer.training.options import FinetuneOptions

Options = Callable[..., FinetuneOptions]


def corpus(options: FinetuneOptions) -> Corpus:
    return build_corpus(read_documents(options), options, letter_tokenizer(), 256)


def test_what_is_cut_is_counted(options: Options) -> None:
    built = corpus(options(max_length=50))
    assert built.max_length == 50
    assert max(built.train.lengths) == 50
    assert list(built.train.lengths) == [len(built.train[place].input_ids) for place in range(len(built.train))]
    assert built.parts["train"].truncated == sum(length > 50 for length in built.parts["train"].lengths)
    described = built.as_json()
    assert described["train"]["tokens"] == sum(built.train.lengths)
    assert described["valid"]["labels"] == {"law": 12, "letter": 4, "poem": 8}


def test_a_held_out_share_keeps_the_labels_shares_and_takes_each_document_once(options: Options) -> None:
    built = corpus(options(valid=(), valid_share=0.2))
    assert Counter(record.label for record in built.valid) == {"law": 6, "letter": 2, "poem": 4}
    train, valid = built.parts["train"], built.parts["valid"]
    assert train.labels + valid.labels == {"law": 30, "letter": 10, "poem": 20}
    assert len(train.lengths) + len({record.line for record in built.valid}) == 60
    again, other = corpus(options(valid=(), valid_share=0.2)), corpus(options(valid=(), valid_share=0.2, seed=1))
    assert again.fingerprint == built.fingerprint != other.fingerprint


def test_the_fingerprint_is_of_lengths_and_labels(options: Options) -> None:
    built = corpus(options())
    assert corpus(options(max_length=99)).fingerprint == built.fingerprint, "the cut is an option of its own"
    train = dataclasses.replace(built.parts["train"], lengths=built.parts["train"].lengths[:59])
    assert dataclasses.replace(built, parts=built.parts | {"train": train}).fingerprint != built.fingerprint


def test_what_cannot_be_trained_on_is_refused(options: Options, tmp_path: Path) -> None:
    one_label, lone = tmp_path / "one.csv", tmp_path / "lone.csv"
    one_label.write_text("text,label\na,x\nb,x\n", encoding="utf-8")
    lone.write_text("text,label\na,x\nb,x\nc,x\nd,y\n", encoding="utf-8")
    with pytest.raises(NysformerError, match=r"every document has the same label \(x\)"):
        corpus(options(train=(str(one_label),)))
    with pytest.raises(NysformerError, match=r"lone\.csv:2: the label 'x' is none of those"):
        corpus(options(valid=(str(lone),)))
    with pytest.raises(
        NysformerError, match=r"valid_share: 0\.5: the label 'y' has 1 document.* give validation documents"
    ):
        corpus(options(train=(str(lone),), valid=(), valid_share=0.5))


def test_one_document_cannot_be_held_out(options: Options, tmp_path: Path) -> None:
    path = tmp_path / "one.jsonl"
    path.write_text('{"tokens": ["a", "b"], "tags": ["X", "Y"]}\n', encoding="utf-8")
    with pytest.raises(NysformerError, match=r"valid_share: 0\.5: a single document cannot be trained on and held out"):
        corpus(options(task="token-classification", train=(str(path),), valid=(), valid_share=0.5))


def rows(path: Path, count: int, **columns: Callable[[int], object]) -> str:
    lines = ({name: column(number) for name, column in columns.items()} for number in range(count))
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return str(path)


def label(number: int) -> str:
    return "ab"[number % 2]


def test_groups_of_a_column_stay_together(options: Options, tmp_path: Path) -> None:
    path = rows(tmp_path / "a.jsonl", 40, text=lambda n: f"{LETTERS[n % 26]} {n}", label=label, thread=lambda n: n // 4)
    built = corpus(options(train=(path,), valid=(), valid_share=0.25, group_column="thread"))
    held = {(record.line - 1) // 4 for record in built.valid}
    assert len(held) == 2, "whole groups"
    assert len(built.valid) == 8
    assert len(built.train) == 32
    with pytest.raises(NysformerError, match="no column 'author'"):
        corpus(options(train=(path,), valid=(), valid_share=0.25, group_column="author"))


def test_near_duplicates_stay_together_with_groups_or_without(options: Options, tmp_path: Path) -> None:
    words = [" ".join(random.Random(number).choices(LETTERS, k=40)) for number in range(10)]
    path = rows(
        tmp_path / "a.jsonl",
        30,
        text=lambda n: f"{words[n // 3]} {'xyz'[n % 3]}",
        label=lambda n: "ab"[n // 3 % 2],
        pair=lambda n: n // 6,
    )
    for column, size in ((None, 3), ("pair", 6)):
        settings = {"group_column": column, "group_near_duplicates": True}
        built = corpus(options(train=(path,), valid=(), valid_share=0.3, **settings))
        held = {(record.line - 1) // size for record in built.valid}
        assert len(built.valid) == size * len(held) > 0, "whole groups"
        assert len(built.train) == 30 - len(built.valid)


def test_grouping_is_refused_where_nothing_is_held_out(options: Options) -> None:
    for name, value in (("group_column", "thread"), ("group_near_duplicates", True)):
        with pytest.raises(NysformerError, match=f"{name}: nothing is held out"):
            options(**{name: value})


def test_what_reading_met_comes_with_the_documents(options: Options, tmp_path: Path) -> None:
    for name in ("ham/old/1.txt", "ham/2.txt", "spam/3.txt", "spam/4.png"):
        path = tmp_path / "src" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("a b", encoding="utf-8")
    documents = read_documents(options(train=(str(tmp_path / "src"),), valid=(str(tmp_path / "src"),)))
    assert documents.task.label_names == ["ham", "spam"]
    assert documents.logs["train"].label_table() == [("ham", 2), ("spam", 1)]
    assert documents.logs["valid"].lines() == ["skipped: 1 .png"]
    parents = options(train=(str(tmp_path / "src"),), valid=(str(tmp_path / "src"),), label_from="parent")
    assert read_documents(parents).task.label_names == ["ham", "old", "spam"]
