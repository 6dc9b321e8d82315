"""`nysformer demo` passes on what it is told and prints what came of it."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from typer.testing import CliRunner

from nysformer.cli.main import app
from nysformer.demo import run
from nysformer.errors import Interrupted, NysformerError

RUNNER = CliRunner()


def test_options_reach_the_demo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    def fake(options: run.DemoOptions, *, console: Any) -> Any:
        asked.append(options)
        answer = SimpleNamespace(label="Permissive", probabilities={"Permissive": 0.9}, length=2_345)
        return SimpleNamespace(example=("this repository's LICENSE", answer), output=tmp_path)

    monkeypatch.setattr(run, "run_demo", fake)
    result = RUNNER.invoke(app, ["demo", "--minutes", "0.5", "--output", str(tmp_path), "--seed", "7"])
    assert result.exit_code == 0, result.output
    assert asked == [run.DemoOptions(minutes=0.5, output=str(tmp_path), seed=7)]
    assert "this repository's LICENSE: Permissive (probability 0.900, 2,345 tokens)" in result.output


def test_a_users_mistake_is_one_error(tmp_path: Path) -> None:
    (tmp_path / "other.txt").write_text("mine", encoding="utf-8")
    result = RUNNER.invoke(app, ["demo", "--output", str(tmp_path)])
    assert isinstance(result.exception, NysformerError)
    assert "something else than a demo" in str(result.exception)


def test_help_is_complete() -> None:
    result = RUNNER.invoke(app, ["demo", "--help"], env={"COLUMNS": "100", "TERM": "dumb", "NO_COLOR": "1"})
    assert result.exit_code == 0
    for word in ("--minutes", "--output", "--seed", "Example: nysformer demo", "pip install 'nysformer[demo]'"):
        assert word in result.output


def test_an_interruption_names_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fake(options: run.DemoOptions, *, console: Any) -> Any:
        raise Interrupted(f"{options.output}: interrupted; start it again with the same options")

    monkeypatch.setattr(run, "run_demo", fake)
    result = RUNNER.invoke(app, ["demo", "--minutes", "0.5", "--output", "my demo"])
    assert result.exit_code == 130
    assert "my demo: interrupted; start it again with: nysformer demo --minutes 0.5 --output 'my demo'" in result.output
