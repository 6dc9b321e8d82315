"""Every row is held by a test that exists, measures as said, and stands on the page."""

from pathlib import Path

import pytest

from benchmarks.compatibility import ROWS, measure_compatibility

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("test", sorted({row.test for row in ROWS}))
def test_the_tests_exist(test: str) -> None:
    path, _, name = test.partition("::")
    assert f"\ndef {name}(" in (ROOT / path).read_text(encoding="utf-8")


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")  # PEFT asks for it
def test_measured_and_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record = measure_compatibility(tmp_path / "page.md")
    page = (tmp_path / "page.md").read_text(encoding="utf-8")
    assert len(record.rows) == len(ROWS)
    for row in record.rows:
        assert 0 <= row["largest_difference"] <= 1e-5, row
        assert f"| {row['source']} | {row['direction']} |" in page
    assert "BERT" in capsys.readouterr().out


def test_the_committed_page_has_every_row() -> None:
    page = (ROOT / "docs" / "compatibility.md").read_text(encoding="utf-8")
    assert page.count("\n| ") == len(ROWS) + 1
    for row in ROWS:
        assert f"| {row.source} | {row.direction} |" in page
