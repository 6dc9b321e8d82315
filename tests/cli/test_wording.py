import sys
from pathlib import Path

import pytest

from nysformer.cli.main import main
from nysformer.cli.wording import in_flags


def test_arguments_become_options() -> None:
    options = {"encoding", "input_format", "delimiter", "resume"}
    assert in_flags("give encoding='cp1252'", options) == "give --encoding cp1252"
    assert in_flags("input_format='csv' and delimiter='\\t'", options) == "--input-format csv and --delimiter tab"
    assert in_flags("give delimiter=';'", options) == "give --delimiter ';'"
    assert in_flags("go on with resume=True", options) == "go on with --resume"
    assert in_flags("TMPDIR=/tmp, num_landmarks=8", options) == "TMPDIR=/tmp, num_landmarks=8"


def test_the_command_line_speaks_in_options(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.csv").write_text("text;label\na;b\n")
    monkeypatch.setattr(sys, "argv", ["nysformer", "predict", "--model", str(tmp_path), str(tmp_path / "a.csv")])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 2
    assert "give --delimiter ';'" in capsys.readouterr().err
