"""`nysformer finetune` as a user calls it: files after an option, exit codes, a kill in the middle."""

import errno
import json
import re
import shlex
import signal
from pathlib import Path
from typing import Any

import datasets
import pytest
import typer
from tiny import LETTERS, save_classifier
from training_commands import call, curve, started
from transformers import TrainerState

from nysformer.cli.main import app
from nysformer.files.locks import LOCK


@pytest.fixture(autouse=True)
def datasets_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "datasets-cache")


@pytest.fixture
def job(tmp_path: Path) -> list[str]:
    """A command that trains for some seconds; run it in `tmp_path`."""
    save_classifier(tmp_path / "encoder")
    for part, count in (("a", 40), ("b", 40), ("valid", 16)):
        rows = [
            {"body": " ".join(LETTERS[(i * j) % 13 + 13 * (i % 2)] for j in range(3 + i)), "kind": "xy"[i % 2]}
            for i in range(count)
        ]
        (tmp_path / f"{part}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return [
        *("finetune", "--model", "encoder", "--train", "a.jsonl", "b.jsonl", "--valid", "valid.jsonl"),
        *("--output", "run", "--text-column", "body", "--label-column", "kind", "--tokens-per-batch", "256"),
        *("--task", "sequence-classification", "--eval-steps", "4", "--log-every", "1", "--learning-rate", "1e-3"),
    ]


def test_a_run_killed_outright_resumes_with_the_same_losses(
    job: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    job += ["--epochs", "6"]
    assert call([*job, "--output", "whole"], monkeypatch) == 0
    assert "macro-F1" in capsys.readouterr().out

    process = started(job, tmp_path, "run/checkpoints/checkpoint-8/trainer_state.json")
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert not (tmp_path / "run" / "model.safetensors").exists()

    assert call(job, monkeypatch) == 2, "the folder holds a run"
    assert call([*job, "--resume"], monkeypatch) == 0
    assert curve(tmp_path / "run") == curve(tmp_path / "whole")
    metrics = [json.loads((tmp_path / name / "metrics.json").read_bytes()) for name in ("run", "whole")]
    assert metrics[0] == metrics[1]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_stopped_run_prints_the_command_that_goes_on(
    job: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals, code: int
) -> None:
    job += ["--epochs", "1000"]
    process = started(job, tmp_path, "run/checkpoints/checkpoint-8/trainer_state.json")
    monkeypatch.chdir(tmp_path)
    assert call([*job, "--overwrite"], monkeypatch) == 2, "the folder is locked"
    process.send_signal(number)
    said = process.communicate()[1].decode()
    assert process.returncode == code, said
    assert "Traceback" not in said
    last = said.splitlines()[-1]
    words, _, command = last.partition(" is whole: go on from it with: ")
    assert re.fullmatch(r"nysformer: run: interrupted; the checkpoint of step \d+", words), said
    arguments = shlex.split(command)
    assert arguments == ["nysformer", *job, "--resume"]
    assert not (tmp_path / "run" / LOCK).exists()

    place = arguments.index("--epochs") + 1
    arguments[place] = "1"
    assert call(arguments[1:], monkeypatch) == 0


def test_a_full_disk_is_one_line_with_the_command(
    job: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(TrainerState, "save_to_json", full)
    assert call([*job, "--max-steps", "4"], monkeypatch) == 2
    last = capsys.readouterr().err.splitlines()[-1]
    command = shlex.join(["nysformer", *job, "--max-steps", "4", "--resume"])
    assert last == (
        "nysformer: run: cannot be written (no space left on device); no checkpoint was whole yet: "
        f"once this is fixed, start over with: {command}"
    )


def test_early_stopping_is_said(
    job: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    still = ["--learning-rate", "1e-12", "--epochs", "50", "--eval-steps", "1", "--early-stopping", "2"]
    assert call([*job, *still], monkeypatch) == 0
    assert "stopped early, 2 evaluations after the best one, after 3 steps" in capsys.readouterr().err


def test_columns_of_another_task_are_told(
    job: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    tagged, labelled = '{"tokens": ["a"], "tags": ["O"]}\n', '{"body": "a", "kind": "x"}\n'
    for rows, words in (
        (tagged, "or the columns fit token-classification: --task token-classification"),
        (labelled + tagged, None),  # only a row among others
        ('{"tokens": ["a"], "kind": "x"}\n', None),
    ):
        Path("rows.jsonl").write_text(rows)
        arguments = list(job)
        arguments[arguments.index("--train") + 1] = "rows.jsonl"
        assert call(arguments, monkeypatch) == 2
        line = capsys.readouterr().err.splitlines()[-1]
        assert "rows.jsonl:" in line
        assert "no column 'body' (there are: tokens, " in line
        assert ("columns fit" in line) == (words is not None)
        assert words is None or line.endswith(words)


def test_a_mistake_is_one_line_and_exit_code_2(
    job: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for arguments, words in (
        (["--task", "regression"], "--task: 'regression' is unknown; there is sequence-classification"),
        (["--valid-share", "0.1"], "validation documents are given already"),
        (["--label-column", "label"], "a.jsonl:1: no column 'label' (there are: body, kind)"),
        (["--model", "nowhere/at-all/ever"], "nowhere/at-all/ever: no such folder"),
        (["--max-length", "9999"], "9999 tokens are more than the 256 positions"),
        (["--epochs", "-1"], "nysformer: --epochs: -1.0 is not above 0"),
        (["--resume"], "run: there is no run to resume; leave out --resume"),
        (["--resume", "--overwrite"], "nysformer: --resume and --overwrite exclude each other"),
        (["--group-column", "thread"], "nysformer: --group-column: nothing is held out"),
        (["--seed", "5000000000"], "nysformer: --seed: 5000000000 is above 4,294,967,295"),
        (["--epochs", "inf"], "nysformer: --epochs: inf is not finite"),
        (["--learning-rate", "inf"], "nysformer: --learning-rate: inf is not finite"),
        (["--time-limit", "nan"], "nysformer: --time-limit: nan is not a number"),
        (["--early-stopping", "0"], "nysformer: --early-stopping: 0 is below 1"),
        (["--output", "a.jsonl/run"], "a.jsonl is not a folder"),
    ):
        assert call([*job, *arguments], monkeypatch) == 2
        captured = capsys.readouterr()
        assert words in captured.err
        assert "Traceback" not in captured.err
        assert captured.out == ""
    assert not (tmp_path / "run").exists()


def test_several_files_may_follow_an_option() -> None:
    command = typer.main.get_command(app).commands["finetune"]
    context = command.make_context(
        "finetune", ["--train", "a", "b", "--valid=c", "--valid", "d", "e", "f", "--model", "m", "--output", "o"]
    )
    assert context.params["train"] == ["a", "b"]
    assert context.params["valid"] == ["c", "d", "e", "f"]
    with pytest.raises(Exception, match="unexpected extra argument"):
        command.make_context("finetune", ["--model", "m", "x", "--train", "a", "--output", "o"])


def test_help_is_whole_and_has_an_example(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(["finetune", "--help"], monkeypatch) == 0
    shown = capsys.readouterr().out
    assert "Example: nysformer finetune" in shown
    for option in ("--train", "--valid-share", "--tokens-per-batch", "--time-limit", "--resume", "--class-weights"):
        assert option in shown
