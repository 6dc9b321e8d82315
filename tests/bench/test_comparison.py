"""README's table comes from the newest result files alone."""

import json
from pathlib import Path
from typing import Any

import pytest

from nysformer.bench.comparison import comparison_table, newest_results
from nysformer.errors import NysformerError


def write(folder: Path, date: str, name: str, rows: list[dict[str, Any]]) -> None:
    result = {
        "name": name,
        "date": date,
        "commit": "abc",
        "rows": rows,
        "notes": {"layers": 2, "hidden_size": 768},
        "machine": {"torch_threads": 2, "cpu_capability": "AVX512"},
        "versions": {"torch": "2.13.0", "transformers": "5.23.0"},
    }
    (folder / f"{date}-{name}.json").write_text(json.dumps(result), encoding="utf-8")


def forward_row(length: int, candidate: str, wall_s: float, faster: float | None) -> dict[str, Any]:
    return {"length": length, "candidate": candidate, "wall_s": wall_s, "faster_than_transformers": faster}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write(tmp_path, "2026-01-01", "forward", [forward_row(512, "nysformer float32", 9.0, 9.0)])
    rows = [
        forward_row(512, "limit float32", 0.1, None),
        forward_row(512, "nysformer float32", 0.123, 1.94),
        forward_row(4096, "nysformer float32", 1.5, 2.0),
        forward_row(4096, "transformers float32", 3.0, 1.0),
    ]
    write(tmp_path, "2026-01-02", "forward", rows)
    corpus = {"candidate": "transformers float32", "documents_a_second": 0.5, "faster_than_transformers": 1.0}
    write(tmp_path, "2026-01-01", "corpus", [corpus])
    memory = {"length": 64, "candidate": "BERT float32", "peak_above_weights_mib": 1234.5}
    write(tmp_path, "2026-01-01", "memory", [memory, {**memory, "length": 128, "peak_above_weights_mib": 2345.6}])
    step = {"length": 4096, "candidate": "nysformer float32", "wall_s": 5.0, "faster_than_transformers": 1.7}
    write(tmp_path, "2026-01-01", "train", [{**step, "peak_above_weights_mib": 900.0}])
    write(tmp_path, "2026-01-01", "startup", [{"candidate": "python alone"}])
    return tmp_path


def test_table(folder: Path) -> None:
    lines = comparison_table(folder).splitlines()
    assert lines[0] == (
        "| | 512 tokens | 4,096 tokens | licence texts, documents/s | training step, 4,096 tokens | "
        "its memory, 4,096 tokens | inference memory, 128 tokens |"
    )
    assert lines[1] == "|---|" + "---:|" * 6
    assert lines[2:6] == [
        "| nysformer float32 | 123 ms (1.9x) | 1.50 s (2.0x) |  | 5.00 s (1.7x) | 900 MiB |  |",
        "| transformers' Nyströmformer float32 |  | 3.00 s (1.0x) | 0.50 (1.0x) |  |  |  |",
        "| BERT float32 |  |  |  |  |  | 2,346 MiB |",
        "| *the linear layers alone* float32 | 100 ms |  |  |  |  |  |",
    ]
    assert "2 threads, AVX512, torch 2.13.0" in lines[7]
    assert "forward 2026-01-02 (abc), corpus 2026-01-01 (abc)" in lines[8]
    assert "startup" not in lines[8]


def test_newest_file_of_each_benchmark(folder: Path) -> None:
    newest = newest_results(folder)
    assert set(newest) == {"forward", "corpus", "memory", "train", "startup"}
    assert newest["forward"]["date"] == "2026-01-02"


def test_without_forward_there_is_no_table(tmp_path: Path) -> None:
    with pytest.raises(NysformerError, match="run `nysformer bench forward` first"):
        comparison_table(tmp_path)


@pytest.mark.parametrize("content", ["{", "[]", "{}"])
def test_a_file_that_is_no_result_is_named(tmp_path: Path, content: str) -> None:
    (tmp_path / "2026-01-01-forward.json").write_text(content, encoding="utf-8")
    with pytest.raises(NysformerError, match=r"2026-01-01-forward\.json: no result"):
        newest_results(tmp_path)
