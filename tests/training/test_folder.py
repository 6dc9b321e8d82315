"""A run folder is never half written, and never takes what is not a run's."""

import json
from pathlib import Path

import pytest

from nysformer.errors import NysformerError
from nysformer.training.folder import RunFolder


def checkpoint(folder: RunFolder, step: int, *, state: str | None = "{}") -> Path:
    path = folder.checkpoints / f"checkpoint-{step}"
    path.mkdir(parents=True)
    (path / "config.json").write_text("{}", encoding="utf-8")
    (path / "model.safetensors").write_text(f"weights of {step}", encoding="utf-8")
    (path / "optimizer.pt").write_text("moments", encoding="utf-8")
    if state is not None:
        (path / "trainer_state.json").write_text(state, encoding="utf-8")
    return path


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    return RunFolder(tmp_path / "run")


def test_a_new_or_empty_folder_is_free(folder: RunFolder) -> None:
    folder.check(resume=False, overwrite=False)
    folder.check(resume=False, overwrite=True)
    folder.path.mkdir()
    folder.check(resume=False, overwrite=False)
    with pytest.raises(NysformerError, match="no run to resume"):
        folder.check(resume=True, overwrite=False)


def test_clearing_a_folder_without_a_run_is_nothing(folder: RunFolder) -> None:
    folder.clear()
    assert not folder.path.exists()


def test_a_run_is_kept_unless_told_otherwise(folder: RunFolder) -> None:
    folder.write_json("run.json", {})
    with pytest.raises(NysformerError, match="not empty; name another, or give resume=True or overwrite=True"):
        folder.check(resume=False, overwrite=False)
    folder.check(resume=True, overwrite=False)
    folder.check(resume=False, overwrite=True)


def test_what_is_no_run_is_not_overwritten(folder: RunFolder) -> None:
    folder.path.mkdir()
    (folder.path / "thesis.tex").touch()
    with pytest.raises(NysformerError, match="something else than a run"):
        folder.check(resume=False, overwrite=True)
    with pytest.raises(NysformerError, match="a file stands where"):
        RunFolder(folder.path / "thesis.tex").check(resume=False, overwrite=True)


def test_clearing_leaves_what_the_run_did_not_write(folder: RunFolder) -> None:
    names = folder.publish(checkpoint(folder, 4))
    folder.write_json("run.json", {"files": names})
    folder.write_json("metrics.json", {})
    folder.logs.mkdir()
    (folder.path / "notes.txt").touch()
    folder.clear()
    assert [path.name for path in folder.path.iterdir()] == ["notes.txt"]


def test_the_newest_whole_checkpoint_counts_and_halves_are_removed(folder: RunFolder) -> None:
    assert folder.last_state() is None
    checkpoint(folder, 9, state='{"global_step": 9}')
    whole = checkpoint(folder, 10, state='{"global_step": 10}')
    halves = [checkpoint(folder, 11, state=None), checkpoint(folder, 100, state='{"global_st')]
    assert folder.last_state() == (whole, {"global_step": 10})
    assert not any(half.exists() for half in halves)


def test_publishing_takes_the_model_and_not_the_training(folder: RunFolder) -> None:
    assert folder.publish(checkpoint(folder, 4)) == ["config.json", "model.safetensors"]
    assert (folder.path / "model.safetensors").read_text(encoding="utf-8") == "weights of 4"
    folder.publish(checkpoint(folder, 5))
    assert (folder.path / "model.safetensors").read_text(encoding="utf-8") == "weights of 5"
    assert sorted(path.name for path in folder.path.iterdir()) == ["checkpoints", "config.json", "model.safetensors"]


def test_json_goes_round_and_damage_is_named(folder: RunFolder) -> None:
    folder.write_json("run.json", {"label": "Überlänge", "share": 0.1})
    assert folder.read_json("run.json") == {"label": "Überlänge", "share": 0.1}
    folder.write_lines("history.jsonl", [{"step": 1}, {"step": 2}])
    lines = (folder.path / "history.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["step"] for line in lines] == [1, 2]
    for content in ("{", "[]"):
        (folder.path / "run.json").write_text(content, encoding="utf-8")
        with pytest.raises(NysformerError, match=r"run\.json: .*begin a new run"):
            folder.read_json("run.json")
