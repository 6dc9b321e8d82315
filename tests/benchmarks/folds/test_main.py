"""The command passes its options on; a user's mistake is one line."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchmarks.folds import __main__ as command


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ([], {"only": None, "validation": False, "folds": None, "seeds": None}),
        (["--baselines-only", "--folds", "3"], {"only": [], "folds": 3}),
        (["--only", "tiny", "--only", "small", "--validation"], {"only": ["tiny", "small"], "validation": True}),
    ],
)
def test_options_are_passed_on(
    given: list[str], expected: dict[str, Any], write_plan: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    passed: dict[str, Any] = {}
    monkeypatch.setattr(command, "run_plan", lambda plan, **options: passed.update(options) or 0)
    monkeypatch.setattr(command.signal, "signal", lambda *_: None)
    path = write_plan()
    monkeypatch.setattr(sys, "argv", ["x", "run", str(path), *given])
    command.main()
    assert {name: passed[name] for name in expected} == expected
    assert passed["command"] == f"python -m benchmarks.folds run {path}" + (" --folds 3" if "3" in given else "")


def test_a_mistake_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command.signal, "signal", lambda *_: None)
    monkeypatch.setattr(sys, "argv", ["x", "run", str(tmp_path / "none.yaml")])
    with pytest.raises(SystemExit) as stopped:
        command.main()
    assert stopped.value.code == 2
    said = capsys.readouterr().err
    assert said.startswith("nysformer: ")
    assert said.count("\n") == 1
