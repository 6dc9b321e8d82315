"""`nysformer bench` passes on what it is told."""

from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from nysformer.bench import registry
from nysformer.cli.main import app
from nysformer.errors import NysformerError

RUNNER = CliRunner()


def test_options_reach_the_benchmark(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []
    monkeypatch.setattr(registry, "run", lambda name, folder, **options: asked.append((name, folder, options)))
    command = ["bench", "forward", "--output", str(tmp_path), "--rounds", "2", "--lengths", "512,4096"]
    result = RUNNER.invoke(app, command)
    assert result.exit_code == 0, result.output
    assert asked == [("forward", tmp_path, {"rounds": 2, "lengths": [512, 4096], "model": None})]


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (["bench", "forward", "--lengths", "512;4096"], "give whole numbers with commas between"),
        (["bench", "speed"], "no benchmark 'speed'"),
        (["bench", "accuracy", "--model", "nowhere"], "run `make demo` first"),
        (["bench", "forward", "--output", f"{__file__}/below"], "is not a folder"),
    ],
)
def test_a_users_mistake_is_one_error(command: list[str], message: str) -> None:
    result = RUNNER.invoke(app, command)
    assert isinstance(result.exception, NysformerError)
    assert message in str(result.exception)


def test_help_is_complete() -> None:
    result = RUNNER.invoke(app, ["bench", "--help"], env={"COLUMNS": "100", "TERM": "dumb", "NO_COLOR": "1"})
    assert result.exit_code == 0
    for word in ("--output", "--rounds", "--lengths", "--model", "Example: nysformer bench", *registry.BENCHMARKS):
        assert word in result.output
