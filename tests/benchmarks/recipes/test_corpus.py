"""A data set on disk: made once, described, and made again when it is damaged or another one is asked for."""

import json
from pathlib import Path

import pytest

from benchmarks.recipes.corpus import README, Corpus, Rows, Source, build_corpus
from nysformer.errors import NysformerError

ROWS = Rows(
    {
        "train": [{"text": "one two three", "label": "a"}, {"text": "one", "label": "b"}],
        "valid": [{"text": "two", "label": "a"}],
        "test": [{"text": "é two", "label": "a"}, {"text": "x\n", "label": "b"}, {"text": "y", "label": "b"}],
    },
    ["a note"],
)


def build(folder: Path, rows: Rows = ROWS, *, seed: int = 0, calls: list[int] | None = None) -> Corpus:
    def make() -> Rows:
        if calls is not None:
            calls.append(seed)
        return rows

    return build_corpus(
        folder / "set",
        make,
        name="toy",
        task="sequence-classification",
        document="text",
        derived=False,
        source=Source("toy 1.0", "CC0", "nobody"),
        seed=seed,
    )


def test_rows_come_back_and_are_described(tmp_path: Path) -> None:
    corpus = build(tmp_path)
    for split, rows in ROWS.splits.items():
        assert corpus.rows(split) == rows
    readme = json.loads((corpus.directory / README).read_text(encoding="utf-8"))
    assert readme["splits"]["train"] == {"rows": 2, "median_words": 2, "longest_words": 3, "labels": {"a": 1, "b": 1}}
    assert readme["columns"] == ["text", "label"]
    assert (readme["licence"], readme["notes"], readme["derived"]) == ("CC0", ["a note"], False)


def test_a_whole_set_is_left_as_it_is(tmp_path: Path) -> None:
    calls: list[int] = []
    build(tmp_path, calls=calls)
    build(tmp_path, calls=calls)
    assert calls == [0]
    build(tmp_path, seed=1, calls=calls)
    assert calls == [0, 1]


def test_a_damaged_set_is_made_again(tmp_path: Path) -> None:
    corpus = build(tmp_path)
    (corpus.directory / "test.jsonl").write_text("{}\n", encoding="utf-8")
    assert build(tmp_path).rows("test") == ROWS.splits["test"]


def test_an_empty_split_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(NysformerError, match="toy: the valid split is empty"):
        build(tmp_path, Rows({**ROWS.splits, "valid": []}))
    assert not (tmp_path / "set").exists()
