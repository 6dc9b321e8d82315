"""Thinning: large groups are cut, small ones stay, and the order with them."""

import json
from pathlib import Path

from nysformer.demo.thin import thin_groups


def test_large_groups_are_cut_and_small_ones_stay(tmp_path: Path) -> None:
    groups = [0, 1, 0, 0, 2, 0, 1, 0]
    source, target = tmp_path / "all.jsonl", tmp_path / "thinned.jsonl"
    source.write_text("".join(json.dumps({"id": i, "group": group}) + "\n" for i, group in enumerate(groups)))
    assert thin_groups(source, target, most=2, seed=0) == 5
    rows = [json.loads(line) for line in target.read_text().splitlines()]
    assert [row["group"] for row in rows].count(0) == 2
    assert {row["id"] for row in rows} >= {1, 4, 6}
    assert [row["id"] for row in rows] == sorted(row["id"] for row in rows)
    first = target.read_text()
    thin_groups(source, target, most=2, seed=0)
    assert target.read_text() == first
