"""A real corpus: the sample stands for all lengths, and ours sees every document once."""

import random

import pytest
import torch

from benchmarks import corpus
from benchmarks.candidates import Size
from benchmarks.texts import draw_by_length
from nysformer.errors import NysformerError


@pytest.fixture
def documents() -> list[list[int]]:
    draw = random.Random(0)
    return [[draw.randrange(10, 60) for _ in range(draw.randrange(3, 64))] for _ in range(30)]


def test_rows(documents: list[list[int]], size: Size) -> None:
    record = corpus.measure_documents(documents, rounds=1, max_length=64, size=size)
    ours, theirs = record.rows[0], record.rows[-1]
    assert ours["candidate"] == "nysformer float32"
    assert ours["documents"] == 30
    assert theirs["candidate"] == "transformers float32"
    assert theirs["documents"] < 30
    assert ours["faster_than_transformers"] == ours["documents_a_second"] / theirs["documents_a_second"]
    assert [bar["bound"] for bar in record.bars][:2] == [">= 5.5", ">= 5.5"]
    assert record.notes["sample_mean_tokens"] == sum(map(len, documents)) / 30


def test_batches_hold_every_document_once(documents: list[list[int]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(corpus, "_TOKENS_PER_BATCH", 200)
    found = []
    for ids, mask in corpus._by_budget(documents):
        assert mask is not None
        assert int(mask.sum()) <= 200
        found += [row[keep].tolist() for row, keep in zip(ids, mask, strict=True)]
    assert sorted(found) == sorted(documents)


def test_theirs_are_padded_one_by_one(documents: list[list[int]]) -> None:
    batches = corpus._one_by_one(documents, 64)
    assert [tuple(ids.shape) for ids, _ in batches] == [(1, 64)] * 30
    assert torch.equal(batches[0][0][0, : len(documents[0])], torch.tensor(documents[0]))


def test_a_sample_has_the_lengths_of_all(documents: list[list[int]]) -> None:
    sample = draw_by_length(documents, 10)
    assert sample == draw_by_length(documents, 10)
    lengths = sorted(map(len, documents))
    for stretch, document in enumerate(sample):
        assert lengths[3 * stretch] <= len(document) <= lengths[3 * stretch + 2]
    assert sorted(draw_by_length(documents, 30)) == sorted(documents)
    with pytest.raises(NysformerError, match="31 documents out of 30"):
        draw_by_length(documents, 31)
