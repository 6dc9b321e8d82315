"""`nysformer pretrain` as a user calls it: files after an option, exit codes, a kill in the middle."""

import json
import shlex
import signal
from pathlib import Path

import pytest
from tiny import LETTERS, save_classifier
from training_commands import call, curve, started


@pytest.fixture
def job(tmp_path: Path) -> list[str]:
    """A command that trains for some seconds; run it in `tmp_path`."""
    for part, count in (("a", 30), ("b", 30), ("valid", 10)):
        rows = [{"body": " ".join(LETTERS[(i * j) % 26] for j in range(3 + 4 * i))} for i in range(count)]
        (tmp_path / f"{part}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return [
        *("pretrain", "--size", "tiny", "--train", "a.jsonl", "b.jsonl", "--valid", "valid.jsonl", "--output", "run"),
        *("--text-column", "body", "--vocab-size", "100", "--max-length", "64", "--landmarks", "8", "--whole-words"),
        *("--tokens-per-batch", "256", "--eval-steps", "4", "--log-every", "1"),
    ]


@pytest.mark.parametrize("until", ["run/tokenizer", "run/checkpoints/checkpoint-8/trainer_state.json"])
def test_a_run_killed_outright_resumes_with_the_same_losses(
    job: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], until: str
) -> None:
    monkeypatch.chdir(tmp_path)
    job += ["--max-steps", "30"]
    assert call([*job, "--output", "whole"], monkeypatch) == 0
    shown = capsys.readouterr()
    assert "perplexity" in shown.out
    assert "masked accuracy" in shown.out
    assert shown.out.splitlines()[-1] == "model: whole"
    assert "tokenizer: " in shown.err

    process = started(job, tmp_path, until)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert not (tmp_path / "run" / "model.safetensors").exists()
    assert call(job, monkeypatch) == 2, "the folder holds a run"
    assert call([*job, "--resume"], monkeypatch) == 0
    assert curve(tmp_path / "run") == curve(tmp_path / "whole")
    metrics = [json.loads((tmp_path / name / "metrics.json").read_bytes()) for name in ("run", "whole")]
    assert metrics[0] == metrics[1]


def test_ctrl_c_prints_the_command_that_goes_on(job: list[str], tmp_path: Path) -> None:
    job += ["--epochs", "1000"]
    process = started(job, tmp_path, "run/checkpoints/checkpoint-4/trainer_state.json")
    process.send_signal(signal.SIGINT)
    said = process.communicate()[1].decode()
    assert process.returncode == 130, said
    assert "Traceback" not in said
    _, _, command = said.splitlines()[-1].partition(" is whole: go on from it with: ")
    assert shlex.split(command) == ["nysformer", *job, "--resume"]


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        (["--model", "encoder"], "--size: model names one that has its own; leave out one of the two"),
        (["--tokenizer", "encoder", "--vocab-size", "9"], "--vocab-size: the tokenizer of encoder is taken as it is"),
        (["--vocab-size", "20"], "--vocab-size: 20 tokens are too few for the 26 characters of the documents"),
        (["--tokenizer", "bpe"], "--vocab-size: 100 tokens are too few for the 256 bytes"),
        (["--mask-fraction", "0"], "--mask-fraction: 0.0 is not above 0"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(
    job: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    changes: list[str],
    line: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty.txt").touch()
    save_classifier(tmp_path / "encoder")
    assert call([*job, *changes], monkeypatch) == 2
    said = [each for each in capsys.readouterr().err.splitlines() if each.startswith("nysformer: ")]
    assert len(said) == 1
    assert said[0].startswith(f"nysformer: {line}")
    assert not (tmp_path / "run").exists()


def test_fine_tuning_points_here(
    job: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    finetune = ["finetune", "--model", "m", "--train", "a.jsonl", "--valid", "a.jsonl", "--output", "r"]
    assert call([*finetune, "--task", "masked-lm"], monkeypatch) == 2
    assert "--task: masked-lm is trained by `nysformer pretrain`" in capsys.readouterr().err
