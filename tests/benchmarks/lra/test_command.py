"""The command trains with each attention, keeps a file per run and goes on where it stopped."""

import json
import sys
from pathlib import Path

import pytest

from benchmarks import __main__ as entry
from benchmarks.lra import command
from benchmarks.lra.command import main
from benchmarks.lra.listops import VOCABULARY, Shape, generate
from benchmarks.lra.sequences import Splits, stored
from benchmarks.lra.tasks import TASKS, Task
from benchmarks.registry import ARENA
from benchmarks.results import newest_results
from nysformer.errors import NysformerError

NAME = "lra-listops"


def load(cache: Path, seed: int) -> Splits:
    shape = Shape(max_depth=4, max_arguments=4, longer_than=8, shorter_than=40)
    return stored(cache / "small.arrow", {"seed": seed}, (24, 6, 6), generate(seed, shape, attempts=64))


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    task = Task("ListOps", load, len(VOCABULARY), 40, batch=4, steps=10, warmup=5, published=TASKS[NAME].published)
    monkeypatch.setitem(TASKS, NAME, task)
    monkeypatch.setattr(command, "CONVOLUTION", 3)


def run(tmp_path: Path, *more: str) -> int:
    folders = ["--runs", str(tmp_path / "runs"), "--output", str(tmp_path / "results"), "--threads", "1"]
    return main(NAME, [*folders, "--valid-every", "2", *more])


def test_both_attentions_one_file_each_and_the_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(tmp_path, "--steps", "4") == 0
    shown = capsys.readouterr().out
    for word in ("nystrom", "softmax", "37.15", "37.10", "validation", "by first token"):
        assert word in shown
    files = sorted((tmp_path / "results").iterdir())
    first, second = (json.loads(file.read_text(encoding="utf-8")) for file in files)
    assert [first["notes"]["settings"]["size"]["attention"], second["notes"]["settings"]["size"]["attention"]] == [
        "nystrom",
        "softmax",
    ]
    assert first["name"] == NAME
    assert [row["step"] for row in first["rows"]] == [2, 4]
    assert first["notes"]["settings"]["warmup"] == 2
    assert first["notes"]["data"]["train"]["sequences"] == 24
    assert first["notes"]["by_first_token"] == second["notes"]["by_first_token"]
    assert first["bars"][0]["bound"] == ">= 37.15"
    assert first["command"] == f"python -m benchmarks {NAME} --attention nystrom --steps 4 --seed 0 --valid-every 2"
    assert newest_results(tmp_path / "results", [], ARENA) == []


def test_what_is_finished_is_not_run_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given = ("--steps", "2", "--attention", "nystrom")
    assert run(tmp_path, *given) == 0
    monkeypatch.setattr(command.Training, "_step", lambda self: pytest.fail("trained again"))
    monkeypatch.setattr(command, "write_record", lambda *arguments: pytest.fail("written again"))
    assert run(tmp_path, *given) == 0


def test_time_is_up(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = ("--steps", "2", "--attention", "softmax", "--minutes", "1e-9")
    assert run(tmp_path, *given) == 1
    assert "goes on from the checkpoint" in capsys.readouterr().err
    assert not (tmp_path / "results").exists()
    assert run(tmp_path, *given[:4]) == 0
    assert len(list((tmp_path / "results").iterdir())) == 1


def test_the_levers_are_part_of_the_run_and_its_command(tmp_path: Path) -> None:
    levers = ["--pretrain-steps", "2", "--pooling", "first", "--no-convolution", "--learning-rate", "0.01"]
    assert run(tmp_path, "--steps", "2", "--attention", "nystrom", *levers) == 0
    assert run(tmp_path, "--steps", "2", "--attention", "nystrom") == 0
    written = [json.loads(file.read_text(encoding="utf-8")) for file in (tmp_path / "results").iterdir()]
    (with_levers,) = (each for each in written if each["notes"]["settings"]["pretrain_steps"])
    size = with_levers["notes"]["settings"]["size"]
    assert (size["pooling"], size["convolution"]) == ("first", None)
    assert with_levers["command"].endswith(" ".join(levers))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["--steps", "0"], "steps is 0: at least 1 is needed"),
        (["--pretrain-steps", "-1"], "pretrain_steps is -1"),
        (["--seed", "-1"], "seed is -1"),
        (["--learning-rate", "0"], "learning_rate is 0.0: it is above zero"),
        (["--minutes", "0"], "minutes is 0.0: it is above zero"),
        (["--threads", "0"], "threads is 0"),
    ],
)
def test_options_out_of_range(given: list[str], message: str, tmp_path: Path) -> None:
    with pytest.raises(NysformerError, match=message):
        run(tmp_path, *given)
    assert list(tmp_path.iterdir()) == []


def test_the_entry_passes_on(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["benchmarks", NAME, "--steps", "0"])
    with pytest.raises(SystemExit, match="2"):
        entry.main()
    assert capsys.readouterr().err == "nysformer: steps is 0: at least 1 is needed\n"


def test_every_name_is_a_task_that_the_help_explains(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert set(ARENA) == set(TASKS)
    monkeypatch.setattr(sys, "argv", ["benchmarks", "--help"])
    with pytest.raises(SystemExit, match="0"):
        entry.main()
    shown = capsys.readouterr().out
    assert all(f"\n{name} " in shown for name in ARENA)
