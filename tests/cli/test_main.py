"""What every command shares: help, version, closed pipes, full disks, Ctrl-C."""

import errno
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tiny import save_classifier
from typer.testing import CliRunner

import nysformer
from nysformer.cli import main as module
from nysformer.cli.main import app, main
from nysformer.errors import Interrupted

COMMANDS = ["finetune", "evaluate", "predict", "embed", "index", "search", "demo", "convert", "export", "inspect"]
RUNNER = CliRunner()


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["nysformer", *map(str, arguments)])
        with pytest.raises(SystemExit) as exit:
            main()
        return (exit.value.code or 0, *capfd.readouterr())

    return run


def raising(error: BaseException) -> Callable[..., None]:
    def command(**_: Any) -> None:
        raise error

    return command


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch, run: Callable[..., tuple[int, str, str]]) -> Callable[..., Any]:
    def failing(error: BaseException) -> tuple[int, str, str]:
        monkeypatch.setattr("nysformer.checkpoints.inspect.inspect", lambda _: raising(error)())
        return run("inspect", "folder")

    return failing


def test_version(run: Callable[..., tuple[int, str, str]]) -> None:
    assert run("--version") == (0, f"nysformer {nysformer.__version__}\n", "")


@pytest.mark.parametrize("environment", [{}, {"NO_COLOR": "1"}, {"TERM": "dumb"}])
@pytest.mark.parametrize("width", [40, 60, 80, 120])
@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_help_is_whole_at_any_width(command: str, width: int, environment: dict[str, str]) -> None:
    arguments = [*([command] if command else []), "--help"]
    wide = RUNNER.invoke(app, arguments, env={"COLUMNS": "250"}).output
    result = RUNNER.invoke(app, arguments, env={"COLUMNS": str(width), **environment})
    assert result.exit_code == 0
    assert "\u2026" not in result.output
    assert "<bool>" not in result.output
    words = result.output.split()
    names = {word for word in wide.split() if word.startswith("--") and word.replace("-", "").isalpha()}
    assert len(names) >= 1
    for name in names:
        assert name in words, f"{name} is cut off or broken"
    assert max(map(len, result.output.splitlines())) <= width


@pytest.mark.parametrize(
    "arguments", [["--help"], ["inspect", "{model}"], ["evaluate", "--model", "{model}", "{data}"]]
)
def test_a_reader_that_leaves_is_no_error(tmp_path: Path, arguments: list[str]) -> None:
    model = save_classifier(tmp_path / "model")
    (tmp_path / "data.jsonl").write_text('{"text": "a", "label": "ham"}\n')
    given = [each.format(model=model, data=tmp_path / "data.jsonl") for each in arguments]
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [sys.executable, "-m", "nysformer", *given], stdout=write, stderr=subprocess.PIPE, check=False
    )
    os.close(write)
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="a device of Linux")
def test_standard_output_that_is_full_is_one_line() -> None:
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "nysformer", "--help"], stdout=full, stderr=subprocess.PIPE, check=False
        )
    assert done.returncode == 2
    assert done.stderr.startswith(b"nysformer: standard output: cannot be written (no space left on device)")
    assert len(done.stderr.splitlines()) == 1


def test_interruption_is_one_line(failing: Callable[..., Any]) -> None:
    assert failing(KeyboardInterrupt()) == (130, "", "nysformer: interrupted\n")
    said = "stopped at step 12; go on with --resume"
    assert failing(Interrupted(said)) == (130, "", f"nysformer: {said}\n")


def test_a_request_to_terminate_unwinds(
    run: Callable[..., tuple[int, str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr("nysformer.checkpoints.inspect.inspect", lambda _: os.kill(os.getpid(), signal.SIGTERM))
    assert run("inspect", "folder") == (143, "", "")
    assert signal.getsignal(signal.SIGTERM) is before


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "a/b"), "a/b: No space left on device"),
        (OSError(errno.EIO, "Input/output error", "a/b"), "a/b: Input/output error"),
        (PermissionError(errno.EACCES, "Permission denied", "a/b"), "a/b: Permission denied"),
        (OSError(errno.ENOSPC, "No space left on device"), "cannot write (no space left on device); free some space"),
        (RuntimeError("I/O error: No space left on device (os error 28)"), "cannot write (no space left on device)"),
        (MemoryError(), "not enough memory"),
        (RuntimeError("x.cpp:1 DefaultCPUAllocator: can't allocate memory"), "not enough memory"),
        (RuntimeError("CUDA out of memory. Tried to allocate"), "not enough memory"),
    ],
)
def test_what_the_machine_lacks_is_one_line(failing: Callable[..., Any], error: Exception, line: str) -> None:
    code, out, err = failing(error)
    assert (code, out) == (2, "")
    assert err.startswith(f"nysformer: {line}")
    assert len(err.splitlines()) == 1


def test_a_fault_of_ours_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "app", raising(RuntimeError("shape mismatch")))
    with pytest.raises(RuntimeError, match="shape mismatch"):
        main()
