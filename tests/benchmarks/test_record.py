"""A result file is whole, says where it comes from, and has its plot beside it."""

import json
from pathlib import Path

import pytest
from matplotlib.figure import Figure

from benchmarks import record
from benchmarks.machine import machine_slug
from benchmarks.record import Record, check_folder, show_table, write_record
from nysformer.errors import NysformerError
from nysformer.ops import product_backend


def test_file_and_last_line_hold_the_figures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows, bars = [{"length": 512, "wall_s": 0.5}], [{"bar": "time", "figure": 1.0, "bound": "<= 2", "holds": "yes"}]
    path = write_record(
        Record("forward", "python -m benchmarks forward", rows, {"rounds": 3}, bars), tmp_path / "results"
    )
    written = json.loads(path.read_text(encoding="utf-8"))
    assert path.name == f"{written['date']}-forward-{machine_slug(written['machine'])}.json"
    assert (written["rows"], written["bars"], written["notes"]) == (rows, bars, {"rounds": 3})
    assert written["machine"]["cores"] >= 1
    assert written["machine"]["float32_product"] == product_backend()
    assert written["versions"]["torch"]
    last = capsys.readouterr().out.splitlines()[-1]
    assert json.loads(last) == {"benchmark": "forward", "rows": rows, "bars": bars}


def test_two_machines_of_one_day_do_not_overwrite_each_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = record.this_machine()
    paths = set()
    for threads in (2, 4, 4):
        monkeypatch.setattr(record, "this_machine", lambda threads=threads: {**here, "torch_threads": threads})
        paths.add(write_record(Record("forward", "", [{"a": threads}]), tmp_path))
    assert len(paths) == 2
    assert sorted(tmp_path.iterdir()) == sorted(paths)


def test_plot_is_written_beside(tmp_path: Path) -> None:
    figure = Figure()
    figure.subplots().plot([1, 2], [3, 4])
    path = write_record(Record("quality", "", [{"a": 1}], plot=figure), tmp_path)
    assert path.with_suffix(".png").read_bytes().startswith(b"\x89PNG")
    assert sorted(file.suffix for file in tmp_path.iterdir()) == [".json", ".png"]


def test_a_folder_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "results").write_text("mine", encoding="utf-8")
    with pytest.raises(NysformerError, match="cannot be written"):
        write_record(Record("forward", "", []), tmp_path / "results")


def test_a_folder_is_checked_before_anything_is_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    check_folder(tmp_path / "new" / "results")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").write_text("mine", encoding="utf-8")
    for folder in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(NysformerError, match="file is a file"):
            check_folder(folder)
    monkeypatch.setattr(record.os, "access", lambda path, mode: False)
    with pytest.raises(NysformerError, match="no permission"):
        check_folder(tmp_path / "new")


def test_table_cells(capsys: pytest.CaptureFixture[str]) -> None:
    show_table("Title", [{"candidate": "ours", "wall_s": 0.12345, "tokens": 65536, "to_limit": None}])
    out = capsys.readouterr().out
    assert all(word in out for word in ("Title", "candidate", "wall s", "ours", "0.123", "65,536"))
    assert "None" not in out


def test_no_rows_no_table(capsys: pytest.CaptureFixture[str]) -> None:
    show_table("Title", [])
    assert capsys.readouterr().out == ""
