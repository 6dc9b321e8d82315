"""A record vouches for its files, for one recipe, until one of them changes."""

from pathlib import Path

import pytest

from nysformer.files.cache import read_record, write_record

RECIPE = {"seed": 0, "source": "package 1.0"}


@pytest.fixture
def record(tmp_path: Path) -> Path:
    (tmp_path / "a.txt").write_text("a", encoding="utf-8")
    (tmp_path / "b.txt").write_text("b", encoding="utf-8")
    write_record(tmp_path / "record.json", RECIPE, ["a.txt", "b.txt"], groups=3)
    return tmp_path / "record.json"


def test_what_stands_is_read_back(record: Path) -> None:
    content = read_record(record, RECIPE)
    assert content is not None
    assert (content["groups"], sorted(content["files"])) == (3, ["a.txt", "b.txt"])


def test_another_recipe(record: Path) -> None:
    assert read_record(record, {**RECIPE, "seed": 1}) is None


def test_a_changed_or_missing_file(record: Path) -> None:
    record.with_name("b.txt").write_text("c", encoding="utf-8")
    assert read_record(record, RECIPE) is None
    record.with_name("b.txt").unlink()
    assert read_record(record, RECIPE) is None


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"recipe": 1}', '{"recipe": {}, "files": 3}'])
def test_a_damaged_record(record: Path, content: str) -> None:
    record.write_text(content, encoding="utf-8")
    assert read_record(record, RECIPE) is None
    assert read_record(record, {}) is None


def test_no_record(tmp_path: Path) -> None:
    assert read_record(tmp_path / "none.json", RECIPE) is None
