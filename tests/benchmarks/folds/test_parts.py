"""Every document is tested once per seed; no group is on two sides."""

from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.folds.parts import Part, make_parts
from benchmarks.folds.plan import load_plan
from benchmarks.recipes.registry import prepare
from nysformer.errors import NysformerError


def ids(part: Part, split: str) -> list[str]:
    return [row["id"] for row in part.rows(split)]


def test_folds_divide_the_documents_by_group(
    folders: dict[str, Path], write_plan: Callable[..., Path], tmp_path: Path
) -> None:
    plan = load_plan(write_plan(folds=4, seeds=[0, 1]))
    corpus = prepare("toy", folders["data_dir"])
    parts = make_parts(corpus, plan, "toy", tmp_path / "parts", folds=4, seeds=2)
    assert [(part.seed, part.fold) for part in parts] == [(seed, fold) for seed in (0, 1) for fold in range(4)]
    every = sorted(row["id"] for split in ("train", "valid", "test") for row in corpus.rows(split))
    for seed in (0, 1):
        assert sorted(name for part in parts if part.seed == seed for name in ids(part, "test")) == every
    for part in parts:
        groups = [{row["group"] for row in part.rows(split)} for split in ("train", "valid", "test")]
        assert sum(map(len, groups)) == len(set().union(*groups))
        assert sorted(name for split in ("train", "valid", "test") for name in ids(part, split)) == every
        assert {row["label"] for row in part.rows("train")} == {"ham", "spam"}
    written = [part.path("train").stat().st_mtime_ns for part in parts]
    again = make_parts(corpus, plan, "toy", tmp_path / "parts", folds=3, seeds=2)
    assert [part.fold for part in again] == [0, 1, 2] * 2
    assert [part.path("train").stat().st_mtime_ns for part in again[:3]] == written[:3]


def test_the_datas_own_test_documents_stay(
    folders: dict[str, Path], write_plan: Callable[..., Path], tmp_path: Path
) -> None:
    plan = load_plan(write_plan(folds=None, seeds=[0, 5]))
    corpus = prepare("toy", folders["data_dir"])
    parts = make_parts(corpus, plan, "toy", tmp_path / "parts", folds=1, seeds=2)
    assert [part.seed for part in parts] == [0, 5]
    for part in parts:
        assert ids(part, "test") == [row["id"] for row in corpus.rows("test")]
        assert len(ids(part, "train")) + len(ids(part, "valid")) == 24
    assert ids(parts[0], "valid") != ids(parts[1], "valid")


def test_too_many_folds_are_one_line(folders: dict[str, Path], write_plan: Callable[..., Path], tmp_path: Path) -> None:
    plan = load_plan(write_plan(folds=200))
    with pytest.raises(NysformerError, match="toy: cannot be divided into 200 folds"):
        make_parts(prepare("toy", folders["data_dir"]), plan, "toy", tmp_path, folds=200, seeds=1)
