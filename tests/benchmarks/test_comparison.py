"""README's tables come from the newest result files alone: the floor by machine, everything else as a range."""

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.comparison import comparison_table
from nysformer.errors import NysformerError

NEW = {
    "processor": "AMD EPYC",
    "architecture": "x86_64",
    "family": "25",
    "model": "17",
    "units": ["avx512f", "avx2"],
    "cores": 2,
    "torch_threads": 2,
    "float32_product": "onednn",
}
OTHER = {**NEW, "family": "26", "float32_product": "torch"}
OLD = {"processor": "x86_64", "cores": 2, "torch_threads": 2, "cpu_capability": "AVX512"}


def write(
    folder: Path, date: str, name: str, rows: list[dict[str, Any]], machine: dict[str, Any] = NEW, suffix: str = "a"
) -> None:
    result = {
        "name": name,
        "date": date,
        "commit": "abc",
        "rows": rows,
        "notes": {"layers": 2, "hidden_size": 768},
        "machine": machine,
        "versions": {"torch": "2.13.0", "transformers": "5.23.0"},
    }
    (folder / f"{date}-{name}-{suffix}.json").write_text(json.dumps(result), encoding="utf-8")


def forward_row(length: int, candidate: str, wall_s: float, to_limit: float, faster: float | None) -> dict[str, Any]:
    return {
        "length": length,
        "candidate": candidate,
        "wall_s": wall_s,
        "to_limit": to_limit,
        "faster_than_transformers": faster,
    }


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write(tmp_path, "2026-01-01", "forward", [forward_row(512, "nysformer float32", 9.0, 9.0, 9.0)])
    rows = [
        forward_row(4096, "nysformer float32", 1.5, 1.2, 2.0),
        forward_row(4096, "transformers float32", 3.0, 2.4, 1.0),
        forward_row(512, "limit float32", 0.1, 1.0, None),
        forward_row(512, "nysformer float32", 0.123, 1.23, 1.94),
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


def test_one_machine(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = comparison_table(folder).splitlines()
    assert lines[0].startswith("Time of one document's forward pass through 2 layers of 768, divided by the floor")
    assert lines[0].endswith("Measured on machine A.")
    assert lines[2:8] == [
        "| time to the floor | 512 tokens | 4,096 tokens |",
        "|---|---:|---:|",
        "| nysformer float32 | 1.23 | 1.20 |",
        "| transformers' Nyströmformer float32 |  | 2.40 |",
        "| *the linear layers alone* float32, the floor | 100 ms |  |",
        "",
    ]
    assert lines[8].endswith("on one machine: other processors give other ratios.")
    assert lines[10:16] == [
        "| times as fast | 512 tokens | 4,096 tokens | licence texts | training step, 4,096 tokens | "
        "its memory, 4,096 tokens | inference memory, 128 tokens |",
        "|---|" + "---:|" * 6,
        "| nysformer float32 | 1.9x | 2.0x |  | 1.7x | 900 MiB |  |",
        "| transformers' Nyströmformer float32 |  | 1.0x | 1.0x |  |  |  |",
        "| BERT float32 |  |  |  |  |  | 2,346 MiB |",
        "",
    ]
    assert lines[16:] == [
        "Measured by `python -m benchmarks NAME` on:",
        "",
        "- A: AMD EPYC (family 25, model 17); avx512f, avx2; 2 cores, 2 threads; float32 by oneDNN; torch 2.13.0, "
        "transformers 5.23.0: forward 2026-01-02 (abc), corpus 2026-01-01 (abc), train 2026-01-01 (abc), "
        "memory 2026-01-01 (abc)",
        "",
        "Tables by `python -m benchmarks table`.",
    ]
    assert capsys.readouterr().err == ""


def test_several_machines(folder: Path) -> None:
    rows = [
        forward_row(512, "limit float32", 1.5, 1.0, None),
        forward_row(512, "nysformer float32", 1.5, 1.0, 1.65),
        forward_row(1024, "nysformer float32", 3.0, 1.1, 1.7),
    ]
    write(folder, "2025-12-01", "forward", rows, OTHER, suffix="b")
    write(
        folder,
        "2025-12-01",
        "memory",
        [{"length": 128, "candidate": "BERT float32", "peak_above_weights_mib": 10}],
        OLD,
    )
    table = comparison_table(folder)
    lines = table.splitlines()
    assert lines[0].endswith("Each cell lists machines A / B.")
    assert "| time to the floor | 512 tokens | 1,024 tokens | 4,096 tokens |" in lines
    assert "| nysformer float32 | 1.23 / 1.00 | - / 1.10 | 1.20 / - |" in lines
    assert "| *the linear layers alone* float32, the floor | 100 ms / 1.50 s |  |  |" in lines
    assert "from the least to the most of 3 machines; " in table
    assert "| nysformer float32 | 1.6-1.9x | 1.7x | 2.0x |  | 1.7x | 900 MiB |  |" in lines
    assert "| BERT float32 |  |  |  |  |  |  | 10-2,346 MiB |" in lines
    machines = [line for line in lines if line.startswith("- ")]
    assert [line[:60] for line in machines] == [
        "- A: AMD EPYC (family 25, model 17); avx512f, avx2; 2 cores,",
        "- B: AMD EPYC (family 26, model 17); avx512f, avx2; 2 cores,",
        "- C: processor not recorded (x86_64, AVX512); 2 cores, 2 thr",
    ]
    assert "float32 by PyTorch's own product" in machines[1]
    assert "forward 2025-12-01 (abc)" in machines[1]


def test_equal_ends_of_a_range_are_one_number(tmp_path: Path) -> None:
    for suffix, machine, faster in (("a", NEW, 1.96), ("b", OTHER, 2.04)):
        write(tmp_path, "2026-01-01", "forward", [forward_row(512, "nysformer float32", 1, 1, faster)], machine, suffix)
    assert "| nysformer float32 | 2.0x |" in comparison_table(tmp_path).splitlines()


def test_more_machines_than_letters(tmp_path: Path) -> None:
    for cores in range(1, 29):
        machine, row = {**NEW, "cores": cores}, forward_row(512, "nysformer float32", 1, 1, 2)
        write(tmp_path, "2026-01-01", "forward", [row], machine, suffix=str(cores))
    assert "A / B / C" in comparison_table(tmp_path)
    assert "Y / Z / AA / AB." in comparison_table(tmp_path)


def test_without_forward_there_is_no_table(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(NysformerError, match="run `python -m benchmarks forward` first"):
            comparison_table(folder)


@pytest.mark.parametrize(
    ("name", "row"),
    [
        ("forward", {}),
        ("forward", {"length": 512}),
        ("forward", forward_row(512, "nysformer float32", 1.0, float("nan"), 1.0)),
        ("forward", {**forward_row(512, "a", 1.0, 1.0, 1.0), "candidate": ["a"]}),
        ("forward", {**forward_row(512, "a", 1.0, 1.0, 1.0), "wall_s": "1"}),
        ("forward", {**forward_row(512, "a", 1.0, 1.0, 1.0), "length": None}),
        ("corpus", {"candidate": "nysformer float32"}),
        ("train", {"candidate": "nysformer float32", "length": 1, "faster_than_transformers": 1.0}),
        ("memory", {"candidate": "nysformer float32", "peak_above_weights_mib": 1.0}),
        ("memory", {"candidate": "nysformer float32", "peak_above_weights_mib": None, "length": 1}),
    ],
)
def test_rows_that_are_not_the_benchmarks_are_named(folder: Path, name: str, row: dict[str, Any]) -> None:
    write(folder, "2026-02-01", name, [row])
    with pytest.raises(
        NysformerError, match=rf"2026-02-01-{name}-a\.json: not what `python -m benchmarks {name}` writes"
    ):
        comparison_table(folder)


def test_the_committed_results_make_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    table = comparison_table(Path(__file__).parents[2] / "benchmarks" / "results")
    assert "| nysformer float32 | " in table
    assert capsys.readouterr().err == ""
