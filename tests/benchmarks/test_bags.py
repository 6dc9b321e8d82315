"""The benchmark of `NystromAttention` on a small bag; memory is measured by its own test."""

import pytest

from benchmarks import bags
from nysformer.errors import NysformerError


def test_a_small_bag(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bags, "peak_memory", lambda make, name, *rest: 1.0 if name == "nysformer" else 2.0)
    record = bags.measure_bags(lengths=(300,), rounds=1)
    assert [row["candidate"] for row in record.rows] == 2 * ["nysformer", "nysformer compat", "nystrom-attention"]
    assert all(row["wall_s"] > 0 for row in record.rows)
    assert [row["smaller"] for row in record.rows[:3]] == [2.0, 1.0, 1.0]
    assert len(record.bars or []) == 4


def test_no_speed_of_wrong_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bags, "_AGREEMENT", -1.0)
    with pytest.raises(NysformerError, match="fix that first"):
        bags.measure_bags(lengths=(300,), rounds=1)
