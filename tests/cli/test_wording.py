import sys
from pathlib import Path

import pytest

from nysformer.cli.main import main
from nysformer.cli.wording import in_flags

FLAGS = {
    name: "--" + name.replace("_", "-") for name in ("encoding", "input_format", "delimiter", "resume", "overwrite")
} | {"num_attention_heads": "--num-heads"}


def test_arguments_become_options() -> None:
    assert in_flags("give encoding='cp1252'", FLAGS) == "give --encoding cp1252"
    assert in_flags("input_format='csv' and delimiter='\\t'", FLAGS) == "--input-format csv and --delimiter tab"
    assert in_flags("give delimiter=';'", FLAGS) == "give --delimiter ';'"
    assert in_flags("go on with resume=True", FLAGS) == "go on with --resume"
    assert in_flags("give num_attention_heads=NUMBER", FLAGS) == "give --num-heads NUMBER"
    assert in_flags("TMPDIR=/tmp, num_landmarks=8", FLAGS) == "TMPDIR=/tmp, num_landmarks=8"


def test_a_line_about_an_argument_names_its_option() -> None:
    assert in_flags("num_attention_heads: 0 is below 1", FLAGS) == "--num-heads: 0 is below 1"
    assert in_flags("encoding: 'x' is unknown", FLAGS, of_options=True) == "--encoding: 'x' is unknown"
    both = in_flags("resume and overwrite exclude each other", FLAGS, of_options=True)
    assert both == "--resume and --overwrite exclude each other"
    said = "input_format: 'input_format' in a/input_format/b needs input_format"
    assert in_flags(said, FLAGS) == "--input-format: 'input_format' in a/input_format/b needs --input-format"


@pytest.mark.parametrize(
    "line",
    [
        "encoding: no such folder",
        "resume/a.txt: no such file",
        "a/config.json: num_attention_heads is 0",
        "overwritten: x",
    ],
)
def test_what_may_be_a_file_stays_as_it_is(line: str) -> None:
    assert in_flags(line, FLAGS) == line


def test_the_command_line_speaks_in_options(
    classifier: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.csv").write_text("text;label\na;b\n")
    monkeypatch.setattr(sys, "argv", ["nysformer", "predict", "--model", str(classifier), str(tmp_path / "a.csv")])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 2
    assert "give --delimiter ';'" in capsys.readouterr().err
