"""What was written is read again, and made anew only where it is not what is asked for."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from benchmarks.lra.sequences import Splits, stored
from nysformer.errors import NysformerError

Example = tuple[np.ndarray, int]


def examples(count: int = 12) -> Iterator[Example]:
    for index in range(count):
        yield np.arange(index, 2 * index + 3, dtype=np.uint8), index % 3


def never() -> Iterator[Example]:
    pytest.fail("made again")
    yield from ()


def store(path: Path, made: Iterator[Example], seed: int = 0) -> Splits:
    return stored(path, {"seed": seed}, (6, 2, 4), made)


def test_splits_follow_each_other_and_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "new" / "data.arrow"
    for splits in (store(path, examples()), store(path, never())):
        assert [len(split) for split in (splits.train, splits.valid, splits.test)] == [6, 2, 4]
        assert splits.test.lengths.tolist() == [11, 12, 13, 14]
        batch = splits.test.batch([1, 0])
        assert batch.layout.lengths == (11, 12)
        assert batch.labels.tolist() == [2, 0]
        assert batch.tokens.tolist() == [*range(8, 19), *range(9, 21)]
    assert sorted(file.name for file in path.parent.iterdir()) == ["data.arrow", "data.json"]


def test_another_recipe_or_damage_makes_it_anew(tmp_path: Path) -> None:
    path = tmp_path / "data.arrow"
    store(path, examples())
    store(path, examples(20), seed=1)
    path.write_bytes(b"torn")
    assert len(store(path, examples(), seed=1).train) == 6
    with pytest.raises(pytest.fail.Exception):
        store(path, never(), seed=2)


def test_too_few_examples_leave_nothing(tmp_path: Path) -> None:
    with pytest.raises(NysformerError, match="12 examples are asked for, and there are 5"):
        store(tmp_path / "data.arrow", examples(5))
    assert list(tmp_path.iterdir()) == []


def test_statistics(tmp_path: Path) -> None:
    about = store(tmp_path / "data.arrow", examples()).describe()
    assert about["train"] == {
        "sequences": 6,
        "shortest": 3,
        "median_length": 5.5,
        "mean_length": 5.5,
        "longest": 8,
        "label_shares": [0.3333, 0.3333, 0.3333],
    }
    assert about["test"]["longest"] == 14


def test_the_rule_of_the_first_token(tmp_path: Path) -> None:
    labels = [0, 0, 1, 2, 2, 2, 0, 0, 0, 0, 2, 1]
    firsts = [5, 5, 5, 7, 7, 7, 5, 5, 5, 7, 7, 7]
    made = ((np.array([first, 1], dtype=np.uint8), label) for first, label in zip(firsts, labels, strict=True))
    assert store(tmp_path / "data.arrow", made).by_first_token() == 50.0
