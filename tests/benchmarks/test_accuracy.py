"""Low precision on the demo's own test documents."""

import json
from pathlib import Path
from typing import Any

import datasets
import pytest
from tiny import save_classifier

from benchmarks.accuracy import measure_accuracy
from nysformer.errors import NysformerError


@pytest.fixture(autouse=True)
def datasets_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "datasets-cache")


def test_rows_and_bars(tmp_path: Path) -> None:
    demo = save_classifier(tmp_path / "demo")
    (demo / "corpus").mkdir()
    documents: list[dict[str, Any]] = [
        {"text": f"{'abc' * number} xyz", "label": ("ham", "spam", "eggs")[number % 3]} for number in range(1, 13)
    ]
    lines = "".join(json.dumps(document) + "\n" for document in documents)
    (demo / "corpus" / "test.jsonl").write_text(lines, encoding="utf-8")
    record = measure_accuracy(demo)
    rows = {row["precision"]: row for row in record.rows}
    assert list(rows)[:2] == ["float32", "bfloat16"]
    assert rows["float32"]["points_to_float32"] == rows["float32"]["other_answers"] == 0
    for row in record.rows:
        assert row["documents"] == 12
        assert 0 <= row["accuracy"] <= 1
    for bar, row in zip(record.bars, record.rows[1:], strict=True):
        assert bar["figure"] == abs(row["points_to_float32"])
        assert bar["bound"] == "<= 0.5"


def test_no_demo_is_one_line_with_the_mend(tmp_path: Path) -> None:
    with pytest.raises(NysformerError, match="run `make demo` first"):
        measure_accuracy(tmp_path / "runs" / "demo")
