"""One way to run a benchmark; an option it does not have, or a package that is missing, is one line."""

import importlib
import inspect
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks import registry, startup
from benchmarks.__main__ import main
from benchmarks.record import Record
from nysformer.errors import NysformerError

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", registry.BENCHMARKS)
def test_every_name_has_its_function_with_defaults(name: str) -> None:
    measure = getattr(importlib.import_module(f"benchmarks.{name}"), registry.BENCHMARKS[name])
    parameters = inspect.signature(measure).parameters.values()
    assert all(parameter.default is not inspect.Parameter.empty for parameter in parameters)


def test_options_that_are_given_reach_the_benchmark(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def measure(rounds: int = 5) -> Record:
        asked.append(rounds)
        return Record("startup", "", [{"wall_s": 1.0}])

    monkeypatch.setattr(startup, "measure_startup", measure)
    registry.run("startup", tmp_path, rounds=3, lengths=None)
    registry.run("startup", tmp_path, rounds=None)
    assert asked == [3, 5]
    (written,) = tmp_path.glob("*-startup-*.json")
    assert json.loads(written.read_text(encoding="utf-8"))["rows"] == [{"wall_s": 1.0}]


@pytest.mark.parametrize(("name", "option"), [("startup", "lengths"), ("table", "rounds"), ("parity", "model")])
def test_an_option_it_does_not_have(name: str, option: str, tmp_path: Path) -> None:
    with pytest.raises(NysformerError, match=f"benchmark {name} has no option --{option}"):
        registry.run(name, tmp_path, **{option: [64]})
    assert not list(tmp_path.iterdir())


def test_an_output_that_cannot_be_written_is_said_before_measuring(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("mine", encoding="utf-8")
    monkeypatch.setattr(startup, "measure_startup", lambda: pytest.fail("measured"))
    with pytest.raises(NysformerError, match="name another folder"):
        registry.run("startup", tmp_path / "file" / "results")


def test_an_unknown_name(tmp_path: Path) -> None:
    with pytest.raises(NysformerError, match="no benchmark 'speed'; choose one of parity, forward"):
        registry.run("speed", tmp_path)


def test_a_missing_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> Any:
        raise ModuleNotFoundError(f"No module named {name!r}", name="matplotlib")

    monkeypatch.setattr(registry, "import_module", absent)
    with pytest.raises(
        NysformerError, match=r"benchmark quality needs matplotlib: run `pip install 'nysformer\[demo\]'`"
    ):
        registry.run("quality", tmp_path)


def test_as_a_module(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "benchmarks", "table", "--output", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 2
    assert done.stderr == (
        f"nysformer: {tmp_path}: no result of the benchmark forward; run `python -m benchmarks forward` first\n"
    )


def test_help_is_complete(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["benchmarks", "--help"])
    with pytest.raises(SystemExit, match="0"):
        main()
    shown = capsys.readouterr().out
    for word in ("--output", "--rounds", "--lengths", "--model", "Example: python -m benchmarks"):
        assert word in shown
    for name in (*registry.BENCHMARKS, registry.TABLE):
        assert f"\n{name} " in shown


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["accuracy", "--model", "nowhere"], "run `make demo` first"),
        (["forward", "--output", f"{__file__}/below"], "is a file"),
        (["startup", "--lengths", "64"], "has no option --lengths"),
    ],
)
def test_a_users_mistake_is_one_line(
    arguments: list[str], message: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["benchmarks", *arguments])
    with pytest.raises(SystemExit, match="2"):
        main()
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line
