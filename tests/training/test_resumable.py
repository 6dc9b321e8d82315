"""A run that cannot go on says in one line what stands and how to resume it, and resumes with the same losses."""

import errno
import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import SafetensorError
from torch.utils.tensorboard import SummaryWriter
from transformers import TrainerState

from nysformer.errors import Interrupted, NysformerError
from nysformer.files.locks import LOCK, lock_folder
from nysformer.models import NystromformerForSequenceClassification
from nysformer.training import card
from nysformer.training import finetune as module
from nysformer.training import folder as folder_module
from nysformer.training.finetune import finetune
from nysformer.training.folder import RunFolder
from nysformer.training.options import FinetuneOptions
from nysformer.training.trainer import TokenBudgetTrainer

Options = Callable[..., FinetuneOptions]
FULL = OSError(errno.ENOSPC, "No space left on device")


def history(run: Path) -> list[dict[str, Any]]:
    entries = [json.loads(line) for line in (run / "history.jsonl").read_text(encoding="utf-8").splitlines()]
    return [{name: value for name, value in entry.items() if name != "seconds"} for entry in entries]


@pytest.fixture(scope="module")
def whole(encoder: Path, documents: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that nothing stopped."""
    return finetune(
        FinetuneOptions(
            model=str(encoder),
            train=(str(documents[0]),),
            valid=(str(documents[1]),),
            output=str(tmp_path_factory.mktemp("whole") / "run"),
            **RUN,
        )
    ).output


RUN: dict[str, Any] = {
    "tokens_per_batch": 1024,
    "learning_rate": 1e-3,
    "max_steps": 9,
    "eval_steps": 3,
    "log_every": 1,
}


def fail_at(patch: pytest.MonkeyPatch, owner: Any, name: str, error: BaseException, call: int) -> None:
    """Let the `call`-th call of a function raise, after half of what it writes where it writes a folder."""
    usual = getattr(owner, name)
    calls = 0

    def failing(*arguments: Any, **settings: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == call:
            raise error
        return usual(*arguments, **settings)

    patch.setattr(owner, name, failing)


WRITERS: dict[str, tuple[Any, str, Exception, int, int]] = {
    # what fails, in which call, and the step of the last whole checkpoint
    "weights": (
        NystromformerForSequenceClassification,
        "save_pretrained",
        SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)"),
        2,
        3,
    ),
    "optimizer": (
        torch,
        "save",
        RuntimeError("[enforce fail at inline_container.cc:672] . unexpected pos 576 vs 534"),
        6,
        3,
    ),
    "state": (TrainerState, "save_to_json", FULL, 3, 6),
    "log": (SummaryWriter, "add_scalar", FULL, 40, 3),
    "curve": (RunFolder, "write_lines", FULL, 2, 6),
    "metrics": (RunFolder, "write_json", FULL, 3, 3),
    "published": (folder_module.shutil, "copyfile", FULL, 2, 9),
    "card": (card, "write_card", FULL, 1, 9),
}


@pytest.mark.parametrize("name", WRITERS)
def test_a_full_disk_is_one_line_and_the_run_resumes(options: Options, whole: Path, name: str) -> None:
    owner, function, error, call, last = WRITERS[name]
    with pytest.MonkeyPatch.context() as patch:
        fail_at(patch, owner, function, error, call)
        with pytest.raises(NysformerError) as caught:
            finetune(options(epochs=None, **RUN))
    said = str(caught.value)
    assert "cannot be written (" in said
    assert said.endswith(f"the checkpoint of step {last} is whole: once this is fixed, go on from it with resume=True")
    assert str(options().output) in said
    assert "\n" not in said
    run = Path(options().output)
    assert not (run / LOCK).exists()
    assert not list(run.rglob("*.part"))
    resumed = finetune(options(epochs=None, resume=True, **RUN))
    assert history(run) == history(whole)
    assert resumed.metrics == json.loads((whole / "metrics.json").read_bytes())
    assert (run / "model.safetensors").read_bytes() == (whole / "model.safetensors").read_bytes()


def test_a_full_disk_before_the_first_checkpoint(options: Options, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        fail_at(patch, TrainerState, "save_to_json", FULL, 1)
        with pytest.raises(
            NysformerError, match="no checkpoint was whole yet: once this is fixed, start over with resume=True"
        ):
            finetune(options(epochs=None, **RUN))
    with monkeypatch.context() as patch:
        fail_at(patch, RunFolder, "write_json", FULL, 1)
        with pytest.raises(NysformerError, match="nothing was trained: once this is fixed, start it again"):
            finetune(options(epochs=None, output=f"{options().output}-other", **RUN))
    assert not Path(f"{options().output}-other").exists()


def test_a_log_writer_without_room_prints_no_traceback(
    options: Options, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    from tensorboard.summary.writer.record_writer import RecordWriter

    usual = threading.excepthook
    fail_at(monkeypatch, RecordWriter, "write", FULL, 4)
    with pytest.raises(NysformerError, match=r"cannot be written \(no space left on device\); .*resume=True"):
        finetune(options(epochs=None, **RUN))
    assert capfd.readouterr().err == ""
    assert threading.excepthook is usual


def test_ctrl_c_says_what_stands(options: Options, monkeypatch: pytest.MonkeyPatch, whole: Path) -> None:
    def stop(at: int) -> None:
        fail_at(patch, TokenBudgetTrainer, "training_step", KeyboardInterrupt(), at)

    for at, words in ((2, "no checkpoint was whole yet: start over with resume=True"), (5, "of step 3 is whole")):
        with monkeypatch.context() as patch:
            stop(at)
            with pytest.raises(Interrupted, match=words) as caught:
                finetune(options(epochs=None, resume=at > 2, **RUN))
        assert str(caught.value).startswith(f"{options().output}: interrupted; ")
    finetune(options(epochs=None, resume=True, **RUN))
    assert history(Path(options().output)) == history(whole)


@pytest.mark.parametrize("changes", [{}, {"overwrite": True}], ids=["new", "overwrite"])
def test_ctrl_c_while_reading_changes_nothing(
    options: Options, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any]
) -> None:
    if changes:
        finetune(options(max_steps=1))
    before = {path: path.stat().st_mtime_ns for path in Path(options().output).rglob("*") if path.is_file()}
    fail_at(monkeypatch, module, "read_documents", KeyboardInterrupt(), 1)
    with pytest.raises(Interrupted, match="interrupted before the training; nothing was changed: start it again"):
        finetune(options(**changes))
    after = {path: path.stat().st_mtime_ns for path in Path(options().output).rglob("*") if path.is_file()}
    assert after == before


def test_a_second_run_in_the_same_folder_is_refused(options: Options, tmp_path: Path) -> None:
    run = Path(options().output)
    finetune(options(max_steps=1))
    with lock_folder(run):
        for changes in ({}, {"resume": True}, {"overwrite": True}):
            with pytest.raises(NysformerError, match=r"run: another run \(pid \d+, host .*\) is writing here"):
                finetune(options(max_steps=2, **changes))
    (run / LOCK).write_text("{}", encoding="utf-8")  # as after a kill
    assert finetune(options(max_steps=2, resume=True)).steps == 2
    assert not (run / LOCK).exists()


def test_a_lock_left_by_a_killed_run_is_not_in_the_way(options: Options) -> None:
    run = Path(options().output)
    run.mkdir()
    (run / LOCK).write_text("{}", encoding="utf-8")
    result = finetune(options(max_steps=1))
    assert not (run / LOCK).exists()
    assert LOCK not in json.loads((result.output / "run.json").read_bytes())["files"]


def test_an_output_below_a_file_is_refused_before_anything_is_read(
    options: Options, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "out.txt").touch()
    monkeypatch.setattr(module, "read_documents", None)
    monkeypatch.setattr(module, "load_tokenizer", None)
    for output in (tmp_path / "out.txt" / "run", tmp_path / "out.txt" / "a" / "b"):
        with pytest.raises(NysformerError, match=r"cannot be written: .*out\.txt is not a folder"):
            finetune(options(output=str(output)))
    with pytest.raises(NysformerError, match="a file stands where"):
        finetune(options(output=str(tmp_path / "out.txt")))


def test_other_errors_keep_their_traceback(options: Options, monkeypatch: pytest.MonkeyPatch) -> None:
    fail_at(monkeypatch, TokenBudgetTrainer, "training_step", RuntimeError("a fault of the program"), 2)
    with pytest.raises(RuntimeError, match="a fault of the program"):
        finetune(options(max_steps=3))
    assert not (Path(options().output) / LOCK).exists()
