from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny import save_classifier

import nysformer
from nysformer.data.records import Record
from nysformer.errors import NysformerError
from nysformer.inference.embed import Embedder
from nysformer.inference.embed_file import embed_to_file
from nysformer.inference.search import Hit, Searcher
from nysformer.inference.vector_index import open_index

RECORDS = [
    Record("a b c. a b c. a b c.", "letters.jsonl", 1, columns={"id": 1, "score": "x"}),
    Record("x y z! a b c.", "letters.jsonl", 2, columns={"id": 2, "score": "y"}),
    Record("p q r s t u v w", "notes.txt", None, columns={}),
]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_classifier(tmp_path_factory.mktemp("model"))


def make(model: Path, output: Path, **options: Any) -> Path:
    embed_to_file(Embedder.from_pretrained(model, device="cpu", **options), RECORDS, output, keep=["id", "score"])
    return output


def test_passages(model: Path, tmp_path: Path) -> None:
    index = make(model, tmp_path / "v.parquet", passages="sentences")
    searcher = nysformer.Searcher.from_pretrained(index, model, device="cpu")
    hits = searcher.search("a b c.", top=100)
    assert len(hits) == 6
    assert [hit.rank for hit in hits] == [1, 2, 3, 4, 5, 6]
    assert sorted((hit.score for hit in hits), reverse=True) == [hit.score for hit in hits]
    query = searcher.embedder.vectors(["a b c."])[0]
    for hit in hits:
        (record,) = [each for each in RECORDS if (each.source, each.line) == (hit.source, hit.line)]
        assert hit.start is not None
        assert hit.text == record.text[hit.start : hit.end]
    rows = {
        (place["source"], place["line"], place["start"]): row
        for row, place in enumerate(map(searcher.index.place, range(6)))
    }
    vectors = searcher.index.vectors()  # type: ignore[attr-defined]
    for hit in hits:
        assert hit.score == pytest.approx(float(vectors[rows[hit.source, hit.line, hit.start]] @ query), abs=1e-6)


def test_the_best_passage_of_each_document(model: Path, tmp_path: Path) -> None:
    searcher = Searcher.from_pretrained(make(model, tmp_path / "v.npy", passages="sentences"), model, device="cpu")
    hits = searcher.search("a b c.", top=2, per="document")
    every = searcher.search("a b c.", top=100)
    best = {}
    for hit in every:
        best.setdefault((hit.source, hit.line), hit)
    assert [(hit.source, hit.line, hit.start, hit.score) for hit in hits] == [
        (hit.source, hit.line, hit.start, hit.score) for hit in list(best.values())[:2]
    ]
    assert [hit.rank for hit in hits] == [1, 2]
    assert len(searcher.search("a b c.", top=9, per="document")) == 3


def test_whole_documents_with_the_settings_of_the_index(model: Path, tmp_path: Path) -> None:
    options: dict[str, Any] = {"pooling": "first", "normalize": False, "max_length": 16}
    index = make(model, tmp_path / "v.parquet", **options)
    searcher = Searcher.from_pretrained(index, model, device="cpu")
    assert (searcher.embedder.pooling, searcher.embedder.max_length) == ("first", 16)
    for record in RECORDS:
        hit = searcher.search(record.text, top=1)[0]
        assert hit.score == pytest.approx(1, abs=1e-5)
        assert (hit.source, hit.line, hit.start, hit.end, hit.text) == (record.source, record.line, None, None, None)


def test_as_json(model: Path, tmp_path: Path) -> None:
    searcher = Searcher.from_pretrained(make(model, tmp_path / "v.parquet"), model, device="cpu")
    row = searcher.search(RECORDS[1].text, top=1)[0].to_dict()
    assert list(row) == ["rank", "score", "source", "line", "id", "input_score"]
    assert row == {"rank": 1, "score": 1.0, "source": "letters.jsonl", "line": 2, "id": "2", "input_score": "y"}
    assert Hit(1, 0.5, "a", None, 0, 1, "x").to_dict()["text"] == "x"


def test_another_precision_is_the_same_model(model: Path, tmp_path: Path) -> None:
    index = make(model, tmp_path / "v.parquet")
    for dtype in ("bfloat16", "int8"):
        hits = Searcher.from_pretrained(index, model, dtype=dtype, device="cpu").search(RECORDS[2].text, top=1)  # type: ignore[arg-type]
        assert hits[0].source == "notes.txt"


def test_another_model_is_refused(model: Path, tmp_path: Path) -> None:
    index = make(model, tmp_path / "v.parquet")
    embedder = Embedder.from_pretrained(model, device="cpu")
    torch.manual_seed(1)
    for parameter in embedder.model.parameters():
        parameter.data = torch.randn_like(parameter)
    with pytest.raises(NysformerError, match=r"v\.parquet: made with another model"):
        Searcher(open_index(index), embedder)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"query": " \n"}, "query: the text is empty"),
        ({"query": "a", "top": 0}, "top: 0 answers are none"),
        ({"query": "a", "per": "word"}, "per: 'word' is unknown; choose passage or document"),
    ],
)
def test_wrong_use(model: Path, tmp_path: Path, arguments: dict[str, Any], message: str) -> None:
    searcher = Searcher.from_pretrained(make(model, tmp_path / "v.parquet"), model, device="cpu")
    with pytest.raises(NysformerError, match=message):
        searcher.search(**arguments)
    assert np.isfinite(searcher.search("a")[0].score)
