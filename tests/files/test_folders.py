"""A folder appears whole or not at all."""

import errno
from pathlib import Path

import pytest
from safetensors import SafetensorError

from nysformer import NysformerError
from nysformer.files.folders import check_new_folder, new_folder


def test_it_appears_whole(tmp_path: Path) -> None:
    target = tmp_path / "runs" / "model"
    with new_folder(target) as folder:
        (folder / "file").write_text("a")
        assert not target.exists()
    assert (target / "file").read_text() == "a"
    assert [path.name for path in target.parent.iterdir()] == ["model"]
    assert target.stat().st_mode & 0o777 == target.parent.stat().st_mode & 0o777


def test_or_not_at_all(tmp_path: Path) -> None:
    def interrupted() -> None:
        with new_folder(tmp_path / "model") as folder:
            (folder / "file").write_text("a")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert list(tmp_path.iterdir()) == []


def test_an_empty_folder_is_used(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    with new_folder(tmp_path / "model") as folder:
        (folder / "file").touch()
    assert (tmp_path / "model" / "file").is_file()


def test_what_stands_there_stays(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("a")
    for path in (tmp_path, tmp_path / "file"):
        with pytest.raises(NysformerError, match="stands there already"):
            check_new_folder(path)
    with pytest.raises(NysformerError, match="cannot be written"), new_folder(tmp_path / "file" / "model"):
        pass
    assert (tmp_path / "file").read_text() == "a"


@pytest.mark.parametrize(
    "failure",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)"),
        Exception("No space left on device (os error 28)"),
        RuntimeError("[enforce fail at inline_container.cc:672] . unexpected pos 576 vs 534"),
    ],
    ids=repr,
)
def test_a_full_disk_is_one_line_and_leaves_nothing(tmp_path: Path, failure: Exception) -> None:
    def fill() -> None:
        with new_folder(tmp_path / "runs" / "model") as folder:
            (folder / "file").write_text("a")
            raise failure

    with pytest.raises(NysformerError, match=r"model: cannot be written \((no space left|torch could not)"):
        fill()
    assert list(tmp_path.iterdir()) == []


def test_other_errors_stay_as_they_are(tmp_path: Path) -> None:
    with pytest.raises(KeyError), new_folder(tmp_path / "model"):
        raise KeyError("a fault of the program")
    with pytest.raises(NysformerError, match="the numbers differ"), new_folder(tmp_path / "model"):
        raise NysformerError("the numbers differ")


@pytest.mark.parametrize("first", ["folder", "file"])
def test_of_two_that_make_the_same_folder_the_first_has_it(tmp_path: Path, first: str) -> None:
    target = tmp_path / "model"

    def race() -> None:
        with new_folder(target) as slow:
            (slow / "slow").touch()
            if first == "folder":
                with new_folder(target) as fast:
                    (fast / "fast").touch()
            else:
                target.touch()

    with pytest.raises(NysformerError, match="model: another process made something there meanwhile"):
        race()
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
    assert first == "file" or [path.name for path in target.iterdir()] == ["fast"]


def test_a_place_that_cannot_be_written_is_known_at_once(tmp_path: Path) -> None:
    (tmp_path / "out.txt").touch()
    for path in (tmp_path / "out.txt" / "model", tmp_path / "out.txt" / "a" / "model"):
        with pytest.raises(NysformerError, match=r"cannot be written: .*out\.txt is not a folder"):
            check_new_folder(path)
    check_new_folder(tmp_path / "a" / "b" / "model")
    with pytest.raises(NysformerError, match="cannot be written"), new_folder("/proc/nowhere/model"):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["out.txt"]
