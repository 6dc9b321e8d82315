"""A folder appears whole or not at all."""

from pathlib import Path

import pytest

from nysformer import NysformerError
from nysformer.data.folders import check_new_folder, new_folder


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
