"""A plan runs once and its predictions are kept; a killed training is resumed; a failure stops no other system."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from tiny import save_classifier

from benchmarks.folds import run, systems
from benchmarks.folds.plan import load_plan
from benchmarks.folds.run import run_plan
from nysformer.errors import NysformerError

WritePlan = Callable[..., Path]


@pytest.fixture(autouse=True)
def clean_tree(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "commit", lambda: "abc")


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The arguments of the trainings, each of which only writes a model."""
    commands: list[list[str]] = []

    def execute(name: str, arguments: Sequence[str], log: Path, *, append: bool = False) -> str:
        commands.append(list(arguments))
        model = Path(arguments[arguments.index("--output") + 1])
        save_classifier(model, labels=("spam", "ham"))
        outcome = {"seconds": 1.0, "steps": 2, "best_step": 2, "stopped_by": "steps"}
        (model / "run.json").write_text(json.dumps({"outcome": outcome}))
        (model / "metrics.json").write_text(json.dumps({"accuracy": 0.5, "macro_f1": 0.5}))
        return ""

    monkeypatch.setattr(systems, "execute", execute)
    return commands


def start(path: Path, folders: dict[str, Path], **options: Any) -> int:
    return run_plan(load_plan(path), command="make toy", **folders, **options)


def test_a_plan_trains_by_the_command_and_is_kept(
    folders: dict[str, Path],
    write_plan: WritePlan,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert start(write_plan(), folders, folds=1) == 0
    said = capsys.readouterr().out
    assert "nysformer finetune --model" in said
    assert "bar met: toy: tiny, windows: accuracy 0." in said
    assert "bar missed: toy: tiny, windows: macro-F1 0." in said
    assert "wanted > 2: TF-IDF + linear SVM, whole and 1" in said

    (file,) = folders["results"].glob("*-folds-toy-*.json")
    kept = json.loads(file.read_text())
    assert [row["system"] for row in kept["rows"]] == [
        "TF-IDF + linear SVM, first 350 words",
        "TF-IDF + linear SVM, whole",
        "TF-IDF + linear SVM, vote of 350-word windows",
        "tiny, windows",
        "tiny, first 16",
    ]
    row = kept["rows"][3]
    assert row["documents"] == len({each["id"] for each in predictions(folders, "tiny/test-windows.jsonl")})
    assert [bar["holds"] for bar in kept["bars"]] == ["yes", "no"]
    (training,) = kept["notes"]["toy"]["systems"]["tiny, first 16"]["trainings"]
    assert "--max-steps 2" in training["command"]
    assert not list(folders["runs_dir"].glob("**/checkpoints"))

    # What is finished is not run again.
    monkeypatch.setattr(systems, "execute", None)
    monkeypatch.setattr(systems, "_read", None)
    assert start(write_plan(), folders, folds=1) == 0
    assert "training" not in capsys.readouterr().out.split("Letters (toy)")[0]


def predictions(folders: dict[str, Path], name: str) -> list[dict[str, Any]]:
    path = folders["runs_dir"] / "toy/seed-0-fold-1-of-2" / name
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_one_training_serves_further_evaluations_and_the_validation_documents(
    folders: dict[str, Path], write_plan: WritePlan, trained: list[list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_plan(seeds=[0, 7])
    assert start(path, folders) == 0
    assert [arguments[arguments.index("--seed") + 1] for arguments in trained] == ["0", "0", "7", "7"]
    (file,) = folders["results"].glob("*.json")
    file.unlink()

    system = {**load_plan(path).systems[0].evaluations, "whole": {"reading": "whole", "max_length": 64}}
    options = dict(load_plan(path).systems[0].options)
    path = write_plan(seeds=[0, 7], systems={"tiny": {"options": options, "evaluations": system}})
    capsys.readouterr()
    assert start(path, folders, validation=True) == 0
    said = capsys.readouterr().out
    assert "validation documents, which chose the checkpoints" in said
    assert "bar" not in said
    assert len(trained) == 4
    assert not list(folders["results"].glob("*.json"))
    rows = predictions(folders, "tiny/valid-whole.jsonl")
    assert {row["id"] for row in rows} == {row["id"] for row in predictions(folders, "valid.jsonl")}
    assert set(rows[0]) == {"id", "group", "words", "label", "predicted", "scores"}


def test_a_killed_training_is_resumed_and_one_of_other_options_is_not(
    folders: dict[str, Path],
    write_plan: WritePlan,
    trained: list[list[str]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    train = systems.execute

    def killed(name: str, arguments: Sequence[str], log: Path, *, append: bool = False) -> str:
        train(name, arguments, log, append=append)
        raise NysformerError(f"{name}: killed")

    monkeypatch.setattr(systems, "execute", killed)
    assert start(write_plan(), folders, folds=1) == 1
    said = capsys.readouterr()
    assert "failed: toy, seed 0, fold 1 of 2: tiny" in said.err
    assert "toy: tiny, windows: not finished (0 of 1 parts)" in said.out
    assert "bar not measured: toy: tiny, windows: accuracy" in said.out
    monkeypatch.setattr(systems, "execute", train)
    assert start(write_plan({"max_steps": 3}), folders, folds=1) == 0
    assert "--resume" not in trained[1]
    (folders["runs_dir"] / "toy/seed-0-fold-1-of-2/tiny/model/trained.json").unlink()
    for file in folders["runs_dir"].glob("toy/*/tiny/test-*.json"):
        file.unlink()
    assert start(write_plan({"max_steps": 3}), folders, folds=1) == 0
    assert "--resume" in trained[2]


def test_only_some_systems_are_run(
    folders: dict[str, Path], write_plan: WritePlan, trained: list[list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert start(write_plan(), folders, only=[]) == 0
    assert trained == []
    with pytest.raises(NysformerError, match="only: there is no system 'huge'; choose of: tiny"):
        start(write_plan(), folders, only=["huge"])
    with pytest.raises(NysformerError, match="folds: toy has the data's own test documents"):
        start(write_plan(folds=None), folders, folds=1)


def test_a_changed_tree_writes_no_result_file(
    folders: dict[str, Path], write_plan: WritePlan, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(run, "commit", lambda: "abc+")
    assert start(write_plan(), folders, only=[]) == 0
    assert "no result file: the tree differs from its commit (abc+)" in capsys.readouterr().out
    assert not folders["results"].exists()


def test_versions_of_a_text_are_thinned(
    folders: dict[str, Path], write_plan: WritePlan, trained: list[list[str]]
) -> None:
    plan = load_plan(write_plan())
    system = {"options": dict(plan.systems[0].options), "evaluations": {"all": {}}, "versions_per_group": 1}
    assert start(write_plan(systems={"thin": system}, bars=[]), folders, folds=1) == 0
    groups = [row["group"] for row in predictions(folders, "thin/train.jsonl")]
    assert len(groups) == len({*groups}) == len({row["group"] for row in predictions(folders, "train.jsonl")})
    assert trained[0][trained[0].index("--train") + 1].endswith("thin/train.jsonl")
