"""A recipe runs from data to a kept outcome by its two commands; one that fails stops no other."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from tiny import save_classifier

from benchmarks.recipes import registry, run
from benchmarks.recipes.corpus import Rows, Source
from benchmarks.recipes.page import write_page
from benchmarks.recipes.run import run_recipes
from nysformer.errors import NysformerError

LETTERS = {"ham": "abc", "spam": "xyz"}


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Path]:
    """A data set of two labels that share no letter, a tiny encoder, and a recipe of both."""
    rows = [{"text": letters * 3, "label": label} for label, letters in LETTERS.items()]
    toy = registry.DataSet(
        "sequence-classification",
        "text",
        lambda: Source("toy 1.0", "CC0", "nobody"),
        lambda cache, seed: Rows(dict.fromkeys(("train", "valid", "test"), rows * 4)),
        lambda train, test: {"guess": {"accuracy": 0.5}, "certain": {"loss": 0.0}},
    )
    monkeypatch.setitem(registry.DATA_SETS, "toy", toy)
    encoder = save_classifier(tmp_path / "encoder")
    monkeypatch.setattr(run, "minilm", lambda runs_dir, positions: encoder)
    recipes = tmp_path / "recipes"
    recipes.mkdir()
    write_recipe(recipes / "good.yaml")
    return {"data_dir": tmp_path / "data", "runs_dir": tmp_path / "runs", "results": tmp_path / "results"}


def write_recipe(path: Path, **change: Any) -> Path:
    content = {
        "title": "A toy",
        "about": "Which letters?",
        "data": "toy",
        "positions": 64,
        "command": "finetune",
        "options": {"max_steps": 2, "max_length": 16, "reading": "windows"},
        "evaluation": {"reading": "head"},
        "metric": "accuracy",
        "baselines": ["guess"],
    }
    path.write_text(yaml.safe_dump(content | change), encoding="utf-8")
    return path


def test_a_recipe_runs_once_is_kept_and_makes_a_page(
    folders: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    good = tmp_path / "recipes/good.yaml"
    bad = write_recipe(tmp_path / "recipes/bad.yaml", options={"class_weights": "balanced", "max_length": 999})
    assert run_recipes([bad, good], **folders) == 1
    said = capsys.readouterr()
    assert "failed: bad" in said.err
    assert "bad: nysformer finetune ended with exit code 2 (" in said.err
    assert "bad/train.log" in said.err
    assert f"nysformer evaluate {folders['data_dir'] / 'toy/test.jsonl'} --model" in said.out

    (file,) = folders["results"].glob("*-recipes-*.json")
    kept = json.loads(file.read_text())
    (row,) = kept["rows"]
    assert (row["recipe"], row["documents"], row["baseline"], row["baseline_figure"]) == ("good", 8, "guess", 0.5)
    assert row["better"] == ("yes" if row["figure"] > 0.5 else "no")
    assert kept["notes"]["good"]["reading"] == "head"
    assert "macro-F1" in kept["notes"]["good"]["output"]["evaluate"]

    # What is finished is not run again, until something that decides the outcome changes, or it is asked for.
    ran: list[str] = []

    def execute(name: str, arguments: list[str], log: Path) -> str:
        ran.append(arguments[0])
        raise NysformerError("stopped here")

    monkeypatch.setattr(run, "execute", execute)
    write_recipe(good, title="Other prose")
    assert run_recipes([good], **folders) == 0
    assert ran == []

    page = tmp_path / "docs/tasks.md"
    write_page(page, results=folders["results"], recipes=tmp_path / "recipes", runs_dir=folders["runs_dir"])
    assert "## Other prose" in page.read_text(encoding="utf-8")

    assert run_recipes([good], **folders, again=True) == 1
    assert ran == ["finetune"]


def test_a_change_of_options_runs_it_anew(folders: dict[str, Path], tmp_path: Path) -> None:
    good = tmp_path / "recipes/good.yaml"
    recipe = run.load_recipe(good)
    before = run._key(recipe, folders["data_dir"], 0)
    write_recipe(good, evaluation={})
    assert run._key(run.load_recipe(good), folders["data_dir"], 0) != before


def test_a_baseline_without_the_figure_is_refused_before_the_training(
    folders: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_recipe(tmp_path / "recipes/good.yaml", baselines=["certain"])
    assert run_recipes([path], **folders) == 1
    assert "good: baselines: 'certain' has no accuracy; choose of guess" in capsys.readouterr().err
    assert not folders["results"].exists()
    assert not (folders["runs_dir"] / "good").exists()
