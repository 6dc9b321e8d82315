"""The command prints the baselines and keeps them in a result file; wrong names are one line and exit code 2."""

import json
import sys
from pathlib import Path

import pytest

from benchmarks.recipes import __main__ as command
from benchmarks.recipes import registry
from benchmarks.recipes.corpus import Rows, Source


def test_figures_are_printed_and_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = Rows({split: [{"text": "a b", "label": "a"}] for split in ("train", "valid", "test")})
    toy = registry.DataSet(
        "sequence-classification",
        "text",
        lambda: Source("toy 1.0", "CC0", "nobody"),
        lambda cache, seed: rows,
        lambda train, test: {"guess": {"accuracy": 0.5}},
    )
    monkeypatch.setitem(registry.DATA_SETS, "toy", toy)
    results = tmp_path / "results"
    monkeypatch.setattr(sys, "argv", ["x", "toy", "--output", str(tmp_path / "data"), "--results", str(results)])
    command.main()
    assert "accuracy 0.5" in capsys.readouterr().out
    (file,) = results.glob("*-recipe-baselines-*.json")
    kept = json.loads(file.read_text())
    assert kept["command"] == "python -m benchmarks.recipes toy --seed 0"
    (row,) = kept["rows"]
    assert (row["data"], row["source"], row["test"], row["figures"]) == ("toy", "toy 1.0", 1, {"accuracy": 0.5})


def test_an_unknown_name_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["x", "nothing", "--output", str(tmp_path)])
    with pytest.raises(SystemExit) as stopped:
        command.main()
    assert stopped.value.code == 2
    assert capsys.readouterr().err.startswith("nysformer: nothing: no such data set; choose one of licences,")
