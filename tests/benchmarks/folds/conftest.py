"""A data set of letters in groups of two, a tiny classifier to begin with, and a plan of both."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from tiny import save_classifier

from benchmarks.recipes import registry
from benchmarks.recipes.corpus import Rows, Source

LETTERS = {"ham": ("abc", "bca", "cab", "acb"), "spam": ("xyz", "yzx", "zxy", "xzy")}


def letter_rows(count: int, first: int = 0) -> list[dict[str, Any]]:
    """So many rows of each label; two neighbours are a group, and the first text of each label is long."""
    return [
        {
            "id": f"{label}-{place}",
            "text": f"{words[place % 4]} " * (501 if place == 0 else 2) + words[place % 3],
            "label": label,
            "group": 100 * number + place // 2,
        }
        for number, (label, words) in enumerate(LETTERS.items())
        for place in range(first, first + count)
    ]


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Path]:
    toy = registry.DataSet(
        "sequence-classification",
        "text",
        lambda: Source("toy 1.0", "CC0", "nobody"),
        lambda cache, seed: Rows(
            {"train": letter_rows(8), "valid": letter_rows(4, first=8), "test": letter_rows(4, first=12)}
        ),
        lambda train, test: {},
    )
    monkeypatch.setitem(registry.DATA_SETS, "toy", toy)
    return {"data_dir": tmp_path / "data", "runs_dir": tmp_path / "runs", "results": tmp_path / "results"}


@pytest.fixture
def write_plan(tmp_path: Path, folders: dict[str, Path]) -> Callable[..., Path]:
    """Writes `toy.yaml`: fields of the plan, changed as asked."""
    encoder = save_classifier(tmp_path / "encoder", labels=("spam", "ham"))

    def write(options: dict[str, Any] | None = None, **change: Any) -> Path:
        usual = {"model": str(encoder), "max_steps": 2, "max_length": 16, "reading": "windows"}
        content = {
            "title": "Letters",
            "data": ["toy"],
            "folds": 2,
            "valid_share": 0.25,
            "positions": 64,
            "systems": {
                "tiny": {
                    "options": usual | (options or {}),
                    "evaluations": {"windows": {}, "first 16": {"reading": "head", "max_length": 16}},
                }
            },
            "bars": [
                {"system": "tiny, windows", "metric": "accuracy", "at_least": 0.0},
                {"system": "tiny, windows", "metric": "macro_f1", "above": "TF-IDF + linear SVM, whole", "by": 1.0},
            ],
        }
        path = tmp_path / "toy.yaml"
        path.write_text(yaml.safe_dump(content | change, sort_keys=False), encoding="utf-8")
        return path

    return write
