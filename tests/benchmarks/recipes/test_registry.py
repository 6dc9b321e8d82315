"""Every data set in the table names a task; names that are not in it are refused; baselines are kept."""

from pathlib import Path

import pytest

from benchmarks.recipes import registry
from benchmarks.recipes.corpus import Rows, Source
from nysformer.errors import NysformerError

TASKS = {"sequence-classification", "token-classification", "question-answering", "multiple-choice", "masked-lm"}


def test_every_task_has_data() -> None:
    assert {one.task for one in registry.DATA_SETS.values()} == TASKS


def test_an_unknown_name_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NysformerError, match="nothing: no such data set; choose one of licences,"):
        registry.prepare("nothing", tmp_path)


def test_a_baseline_is_measured_once_per_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []

    def measure(train: object, test: object) -> dict[str, dict[str, float]]:
        calls.append(1)
        return {"guess": {"accuracy": 0.5}}

    def make(cache: Path, seed: int) -> Rows:
        return Rows({split: [{"text": f"{split} {seed}", "label": "a"}] for split in ("train", "valid", "test")})

    toy = registry.DataSet("sequence-classification", "text", lambda: Source("toy", "CC0", "nobody"), make, measure)
    monkeypatch.setitem(registry.DATA_SETS, "toy", toy)
    for seed, count in ((0, 1), (0, 1), (1, 2)):
        measured = registry.baseline("toy", registry.prepare("toy", tmp_path, seed))
        assert measured["figures"] == {"guess": {"accuracy": 0.5}}
        assert len(calls) == count
