"""A folder belongs to one process at a time, whatever becomes of it."""

import errno
import logging
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from nysformer import NysformerError
from nysformer.files.locks import LOCK, holds_nothing, lock_folder

HOLD = """
import sys
from nysformer.files.locks import lock_folder

with lock_folder(sys.argv[1]):
    print("held", flush=True)
    sys.stdin.read()
"""


def holder(folder: Path) -> subprocess.Popen[str]:
    """A process that has locked the folder until its standard input is closed."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_a_second_process_is_told_who_is_there(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    process = holder(folder)
    for path in (folder, tmp_path / "." / "run"):
        with pytest.raises(NysformerError) as caught, lock_folder(path):
            pass
        assert f"another run (pid {process.pid}, host " in str(caught.value)
        assert ", since 20" in str(caught.value)
        assert "\n" not in str(caught.value)
    (tmp_path / "link").symlink_to(folder)
    with pytest.raises(NysformerError, match="is writing here"), lock_folder(tmp_path / "link"):
        pass
    process.communicate("")
    with lock_folder(folder):
        pass


def test_a_killed_process_holds_nothing(tmp_path: Path) -> None:
    process = holder(tmp_path)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert (tmp_path / LOCK).exists()
    assert holds_nothing(tmp_path)
    with lock_folder(tmp_path):
        assert f'"pid": {os.getpid()}' in (tmp_path / LOCK).read_text()
    assert list(tmp_path.iterdir()) == []


def test_a_second_lock_of_the_same_process_is_refused(tmp_path: Path) -> None:
    refused: list[str] = []

    def try_it() -> None:
        try:
            with lock_folder(tmp_path):
                pass
        except NysformerError as error:
            refused.append(str(error))

    with lock_folder(tmp_path):
        thread = threading.Thread(target=try_it)
        thread.start()
        thread.join()
        try_it()
    assert len(refused) == 2
    try_it()
    assert len(refused) == 2


def test_what_was_made_for_nothing_is_removed(tmp_path: Path) -> None:
    def fail(file: str | None) -> None:
        with lock_folder(tmp_path / "a" / "b"):
            if file:
                (tmp_path / "a" / "b" / file).touch()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail(None)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(KeyboardInterrupt):
        fail("file")
    assert [path.name for path in (tmp_path / "a" / "b").iterdir()] == ["file"]


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "out.txt").touch()
    for path in (tmp_path / "out.txt" / "run", tmp_path / "out.txt" / "a" / "run"):
        with (
            pytest.raises(NysformerError, match=r"run: cannot be written: .*out\.txt is not a folder"),
            lock_folder(path),
        ):
            pass
    with pytest.raises(NysformerError, match="a file stands where"), lock_folder(tmp_path / "out.txt"):
        pass
    with pytest.raises(NysformerError, match="cannot be written"), lock_folder("/proc/nysformer/run"):
        pass
    with pytest.raises(NysformerError, match="cannot be written"), lock_folder(tmp_path / ("n" * 300)):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["out.txt"]


def test_without_locks_there_is_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def no_locks(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(FileLock, "acquire", no_locks)
    with caplog.at_level(logging.WARNING), lock_folder(tmp_path / "run"):
        (tmp_path / "run" / "file").touch()
    assert "this file system has no locks" in caplog.text
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["file"]
