import contextlib
import errno
import os
import threading
from pathlib import Path

import pytest

from nysformer.errors import NysformerError
from nysformer.files import atomic
from nysformer.files.atomic import check_output, check_parent, write_atomically


def test_replaces_only_when_the_block_ends_well(tmp_path: Path) -> None:
    path = tmp_path / "out.json"
    path.write_text("old")
    with contextlib.suppress(KeyboardInterrupt), write_atomically(path) as file:
        file.write("half")
        raise KeyboardInterrupt
    assert path.read_text() == "old"
    with write_atomically(path) as file:
        file.write("neü\n")
        file.flush()
        assert path.read_text() == "old"
    assert path.read_bytes() == "neü\n".encode()
    assert os.listdir(tmp_path) == ["out.json"]


def test_a_link_keeps_pointing_where_it_did(tmp_path: Path) -> None:
    target, link = tmp_path / "target", tmp_path / "link"
    link.symlink_to(target)
    with write_atomically(link) as file:
        file.write("x")
    assert link.is_symlink()
    assert target.read_text() == "x"


def test_a_pipe_is_written_not_replaced(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    received: list[str] = []
    reader = threading.Thread(target=lambda: received.append(pipe.read_text()))
    reader.start()
    with write_atomically(pipe) as file:
        file.write("through")
    reader.join()
    assert received == ["through"]
    assert pipe.is_fifo()


def test_refuses_a_folder_and_a_place_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(NysformerError, match="a folder"), write_atomically(tmp_path):
        pass
    with pytest.raises(NysformerError, match="cannot be written"), write_atomically(tmp_path / "no" / "file"):
        pass


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="a device of Linux")
def test_a_device_that_is_full_is_one_line() -> None:
    with pytest.raises(NysformerError, match=r"^/dev/full: cannot be written \(no space left on device\); free"):  # noqa: SIM117
        with write_atomically("/dev/full") as file:
            file.write("x")


@pytest.mark.parametrize("binary", [False, True])
def test_a_full_disk_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, binary: bool
) -> None:
    class Disk(atomic.NamedFile):
        def write(self, data: object) -> int:
            if self.failed:
                return memoryview(data).nbytes
            self.failed = True
            raise atomic.write_error(self.title, OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))

    path = tmp_path / "out"
    path.write_text("old")
    monkeypatch.setattr(atomic, "NamedFile", Disk)
    with pytest.raises(NysformerError, match="no space left on device"), write_atomically(path, binary=binary) as file:
        file.write(b"new" if binary else "new")
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["out"]


def test_a_disk_that_fails_at_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.EDQUOT, os.strerror(errno.EDQUOT))

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(NysformerError, match=r"out: cannot be written \(disk quota exceeded\)"):  # noqa: SIM117
        with write_atomically(tmp_path / "out") as file:
            file.write("x")
    assert os.listdir(tmp_path) == []


def test_two_writers_of_one_file_do_not_meet(tmp_path: Path) -> None:
    path = tmp_path / "out"
    with write_atomically(path) as first, write_atomically(path) as second:
        first.write("first")
        second.write("second")
        assert len(os.listdir(tmp_path)) == 2
    assert path.read_text() == "first"
    assert os.listdir(tmp_path) == ["out"]


def test_what_cannot_be_made_is_known_before(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(NysformerError, match="file is not a folder"):
        check_output(tmp_path / "file" / "below" / "out")
    with pytest.raises(NysformerError, match=r"there is no folder .*missing; make it first"):
        check_output(tmp_path / "missing" / "out")
    with pytest.raises(NysformerError, match="cannot be written"):
        check_output(tmp_path / ("a" * 300))
    with pytest.raises(NysformerError, match="null byte"):
        check_output(f"{tmp_path}/a\0b")
    with pytest.raises(NysformerError, match="is not a folder"):
        check_parent(tmp_path / "file" / "folder", exists=False)
    check_parent(tmp_path / "missing" / "folder", exists=False)
    assert sorted(os.listdir(tmp_path)) == ["file"]


def test_an_input_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "in.jsonl").write_text("x")
    (tmp_path / "link").symlink_to(tmp_path / "in.jsonl")
    for output, source in (("in.jsonl", "in.jsonl"), ("link", "in.jsonl"), ("in.jsonl", "link"), ("in.jsonl", ".")):
        with pytest.raises(NysformerError, match="is read as input"):
            check_output(tmp_path / output, [tmp_path / source])
    check_output(tmp_path / "out.jsonl", [tmp_path, tmp_path / "in.jsonl", "absent"])
