"""The newest result of each benchmark on each machine; a file that cannot be used is always named."""

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.results import newest_results, number
from nysformer.errors import NysformerError

ROW = {"length": 512, "candidate": "nysformer float32", "wall_s": 1.0}
ONE = {"processor": "One", "architecture": "x86_64", "torch_threads": 2}
TWO = {"processor": "Two", "architecture": "x86_64", "torch_threads": 2}


def write(folder: Path, file: str, **content: Any) -> None:
    result = {"name": "forward", "commit": "abc", "rows": [ROW], "notes": {}, "machine": ONE, "versions": {}}
    (folder / file).write_text(json.dumps({**result, **content}), encoding="utf-8")


def test_newest_of_each_benchmark_and_machine(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path, "2026-01-02-forward-two.json", machine=TWO)
    write(tmp_path, "2026-01-01-forward-two.json", machine=TWO)
    write(tmp_path, "2026-01-03-train-two.json", machine=TWO, name="train")
    write(tmp_path, "2025-12-31-forward-one.json")
    write(tmp_path, "2026-01-05-forward-one-more-threads.json", machine={**ONE, "torch_threads": 8})
    write(tmp_path, "2026-01-04-parity.json", name="parity")
    found = newest_results(tmp_path, ["forward", "train"], ["parity"])
    assert [(each.machine["processor"], each.machine["torch_threads"], each.name, each.date) for each in found] == [
        ("One", 2, "forward", "2025-12-31"),
        ("One", 8, "forward", "2026-01-05"),
        ("Two", 2, "forward", "2026-01-02"),
        ("Two", 2, "train", "2026-01-03"),
    ]
    assert capsys.readouterr().err == ""


def test_names_from_before_the_machine_was_part_of_them(tmp_path: Path) -> None:
    write(tmp_path, "2026-01-01-forward.json", machine={"processor": "x86_64", "cores": 2})
    write(tmp_path, "2026-01-02-forward.json", machine={"processor": "x86_64", "cores": 2})
    (found,) = newest_results(tmp_path, ["forward"])
    assert found.date == "2026-01-02"


def test_what_is_not_known_is_skipped_with_a_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path, "2026-01-01-speed.json", name="speed")
    write(tmp_path, "forward.json")
    assert newest_results(tmp_path, ["forward"]) == []
    assert capsys.readouterr().err.splitlines() == [
        f"nysformer: {tmp_path / '2026-01-01-speed.json'}: no benchmark is called 'speed'; skipped",
        f"nysformer: {tmp_path / 'forward.json'}: not named <date>-<benchmark>-<machine>.json; skipped",
    ]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"{}",
        b"null",
        b"3",
        b"\xff\xfe",
        b'{"name": "forward"}',
        b'{"name": ["forward"]}',
        b'{"name": "forward", "rows": []}',
        b'{"name": "forward", "rows": {"a": 1}}',
        b'{"name": "forward", "rows": [1]}',
        b'{"name": "forward", "rows": [{}], "machine": []}',
        b'{"name": "forward", "rows": [{}], "versions": "2.13"}',
        b'{"name": "forward", "rows": [{}], "machine": {"architecture": "x86_64", "processor": "One", "units": [1]}}',
        b'{"name": "forward", "rows": [{}], "machine": {"architecture": "x86_64", "processor": 7}}',
        b'{"name": "forward", "rows": ' + b"[" * 100_000,
    ],
)
def test_a_damaged_file_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "2026-01-01-forward.json").write_bytes(content)
    with pytest.raises(NysformerError, match=r"2026-01-01-forward\.json: no result of a benchmark") as error:
        newest_results(tmp_path, ["forward"])
    assert len(str(error.value).splitlines()) == 1


def test_every_damaged_file_has_its_line(tmp_path: Path) -> None:
    (tmp_path / "2026-01-01-forward.json").write_text("{", encoding="utf-8")
    (tmp_path / "2026-01-02-train.json").mkdir()
    write(tmp_path, "2026-01-03-forward.json")
    with pytest.raises(NysformerError) as error:
        newest_results(tmp_path, ["forward"])
    first, second = str(error.value).splitlines()
    assert "2026-01-01-forward.json: no result" in first
    assert "2026-01-02-train.json: cannot be read" in second


@pytest.mark.parametrize("value", [None, "1", True, float("nan"), float("inf"), -1.0, 0.0, [], {}])
def test_what_is_no_figure(value: Any) -> None:
    with pytest.raises(ValueError, match="wall_s is"):
        number({"wall_s": value}, "wall_s")
    with pytest.raises(ValueError, match="wall_s is None"):
        number({}, "wall_s")


def test_zero_where_it_can_be() -> None:
    assert number({"peak": 0}, "peak", zero=True) == 0.0
