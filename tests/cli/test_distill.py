"""`nysformer distill` as a user calls it: an encoder, an output, files after an option, a kill in the middle."""

import json
import shlex
import signal
from pathlib import Path

import pytest
from tiny import LETTERS, save_classifier
from training_commands import call, started


@pytest.fixture
def job(tmp_path: Path) -> list[str]:
    """A command that trains for some seconds; run it in `tmp_path`."""
    save_classifier(tmp_path / "encoder", softmax_max_length=20, attention_mode="auto", initializer_range=0.2)
    for part, count in (("a", 30), ("b", 30), ("valid", 10)):
        rows = [{"body": " ".join(LETTERS[(i * j) % 26] for j in range(3 + 4 * i))} for i in range(count)]
        (tmp_path / f"{part}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return [
        *("distill", "encoder", "run", "--text", "a.jsonl", "b.jsonl", "--valid", "valid.jsonl"),
        *("--text-column", "body", "--tokens-per-batch", "256", "--eval-steps", "4", "--log-every", "1"),
    ]


def test_an_encoder_in_an_encoder_out(
    job: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert call([*job, "--max-steps", "4"], monkeypatch) == 0
    shown = capsys.readouterr()
    assert "relative error" in shown.out
    assert "centred cosine" in shown.out
    assert shown.out.splitlines()[-1] == "model: run"
    assert "documents of at most 20 tokens are left out" in shown.err
    assert json.loads((tmp_path / "run" / "config.json").read_bytes())["long_layers"] is True
    assert (
        call(["embed", "--model", "run", "a.jsonl", "--text-column", "body", "--output", "v.parquet"], monkeypatch) == 0
    )


def test_ctrl_c_prints_the_command_that_goes_on(job: list[str], tmp_path: Path) -> None:
    job += ["--epochs", "1000"]
    process = started(job, tmp_path, "run/checkpoints/checkpoint-4/trainer_state.json")
    process.send_signal(signal.SIGINT)
    said = process.communicate()[1].decode()
    assert process.returncode == 130, said
    _, _, command = said.splitlines()[-1].partition(" is whole: go on from it with: ")
    assert shlex.split(command) == ["nysformer", *job, "--resume"]


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        (["--valid", "short.txt"], "valid: 0 of 1 documents have more than 20 tokens"),
        (["--max-length", "300"], "--max-length: 300 tokens are more than the 256 positions of encoder"),
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
    (tmp_path / "short.txt").write_text("a b", encoding="utf-8")
    job = [each for each in job if not (changes[0] == "--valid" and each in ("--valid", "valid.jsonl"))]
    assert call([*job, *changes], monkeypatch) == 2
    said = [each for each in capsys.readouterr().err.splitlines() if each.startswith("nysformer: ")]
    assert len(said) == 1
    assert line.removeprefix("--") in said[0].replace("--", "")
    assert not (tmp_path / "run").exists()
