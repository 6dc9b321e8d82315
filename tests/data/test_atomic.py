import contextlib
import os
import threading
from pathlib import Path

import pytest

from nysformer.data.atomic import write_atomically
from nysformer.errors import NysformerError


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
