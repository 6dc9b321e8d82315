import io
import itertools
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas
import pytest
from tiny import save_classifier

from nysformer.cli.main import main
from nysformer.inference.options import TOKENS_PER_BATCH
from nysformer.inference.runner import Runner

Run = Callable[..., tuple[int, list[dict[str, object]], str]]

# The command, which stays where its second window is kept, so that it can be stopped there.
SLOW = """
import sys, time
from pathlib import Path
from nysformer.inference.runner import Runner
plain = Runner._forward
def slow(*arguments):
    journal = Path(".a.jsonl.unfinished/answers.jsonl")
    while "--resume" not in sys.argv and journal.exists() and journal.read_bytes().count(b"\\n") >= 2:
        time.sleep(0.05)
    return plain(*arguments)
Runner._forward = slow
from nysformer.cli.main import main
sys.argv[0] = "nysformer"
main()
"""


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_classifier(tmp_path_factory.mktemp("model"))


@pytest.fixture
def run(model: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    def run(*arguments: object, model: Path = model, stdin: bytes = b"") -> tuple[int, list[dict[str, object]], str]:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        monkeypatch.setattr(sys, "argv", ["nysformer", "predict", "--model", str(model), *map(str, arguments)])
        with pytest.raises(SystemExit) as exit:
            main()
        out, err = capfd.readouterr()
        return exit.value.code or 0, [json.loads(line) for line in out.splitlines()], err

    return run


def test_files_folders_and_standard_input_in_order(run: Run, tmp_path: Path) -> None:
    (tmp_path / "LICENSE").write_text("may be used")
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "b.txt").write_text("b")
    (tmp_path / "texts" / "a.txt").write_text("a " * 300)
    code, lines, err = run(tmp_path / "LICENSE", "-", tmp_path / "texts", stdin=b'{"text": "x"}\n\n{"text": "y"}\n')
    assert (code, err) == (0, "")
    assert [(Path(str(line["source"])).name, line["line"]) for line in lines] == [
        ("LICENSE", None),
        ("<stdin>", 1),
        ("<stdin>", 3),
        ("a.txt", None),
        ("b.txt", None),
    ]
    assert [line["truncated"] for line in lines] == [False, False, False, True, False]
    assert lines[3]["length"] == 302
    assert all(line["label"] in {"ham", "spam", "eggs"} for line in lines)


def test_bad_lines_are_reported_and_the_rest_is_classified(run: Run) -> None:
    code, lines, err = run(stdin=b'{"text": "a"}\n{"text": \n{"text": "\xe2\x80\x8b"}\n{"text": "b"}\n')
    assert code == 1
    assert [line["line"] for line in lines] == [1, 4]
    assert err.splitlines()[0].startswith("<stdin>:2: invalid JSON")
    assert err.splitlines()[1:] == ["<stdin>:3: the tokenizer finds no token in the document"]


def test_empty_input_is_one_line_and_two(run: Run) -> None:
    assert run(stdin=b"") == (2, [], "nysformer: <stdin>: the input holds no document; name another\n")


def test_output_is_written_whole(run: Run, tmp_path: Path) -> None:
    output = tmp_path / "out.jsonl"
    code, lines, err = run("--output", output, "--max-length", 3, "--dtype", "bfloat16", stdin=b'{"text": "a b"}\nx\n')
    assert code == 1
    assert lines == []
    (line,) = [json.loads(line) for line in output.read_text().splitlines()]
    assert (line["length"], line["truncated"]) == (4, True)
    assert [file.name for file in tmp_path.iterdir()] == ["out.jsonl"]
    code, _, err = run("--output", tmp_path / "no" / "out.jsonl", stdin=b'{"text": "a"}')
    assert code == 2
    assert "cannot be written" in err


def test_columns_and_formats(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "in.csv"
    path.write_text('body,id\n"a, b",1\n')
    code, lines, _ = run("--text-column", "body", path)
    assert (code, lines[0]["length"]) == (0, 5)
    code, lines, _ = run("--input-format", "lines", stdin=b"a\nb\n")
    assert (code, [line["line"] for line in lines]) == (0, [1, 2])
    code, lines, err = run(path)
    assert (code, lines) == (2, [])
    assert "no column 'text' (there are: body, id)" in err


@pytest.mark.skipif(sys.platform != "linux", reason="file names of any bytes")
def test_a_file_name_that_is_no_text(run: Run, tmp_path: Path) -> None:
    folder = os.fsencode(tmp_path)
    for name, content in ((b"\xff.txt", b"a"), (b"\xfe.txt", b"")):
        with open(folder + b"/" + name, "wb") as file:
            file.write(content)
    code, lines, err = run(tmp_path)
    assert code == 1
    assert str(lines[0]["source"]).endswith("/\udcff.txt")
    assert "the document is empty" in err


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda folder: shutil.rmtree(folder), "no such model folder"),
        (lambda folder: (folder / "tokenizer.json").unlink(), "no tokenizer in the folder"),
        (lambda folder: (folder / "model.safetensors").write_bytes(b"cut off"), "weights cannot be read"),
    ],
)
def test_a_damaged_model_is_one_line_and_two(
    run: Run, model: Path, tmp_path: Path, damage: Callable[[Path], object], words: str
) -> None:
    copy = shutil.copytree(model, tmp_path / "copy")
    damage(copy)
    code, lines, err = run(model=copy, stdin=b'{"text": "a"}')
    assert (code, lines) == (2, [])
    assert words in err
    assert len(err.splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--max-length", "257"], "past the model's position table of 256"),
        (["absent.jsonl"], "no such file"),
        (["--device", "abacus"], "cannot be used"),
    ],
)
def test_wrong_use_is_one_line_and_two(run: Run, arguments: list[str], words: str) -> None:
    code, lines, err = run(*arguments, stdin=b'{"text": "a"}')
    assert (code, lines) == (2, [])
    assert words in err
    assert len(err.splitlines()) == 1


def test_a_terminal_is_no_input(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.TextIOWrapper):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr(io, "TextIOWrapper", Terminal)
    code, _, err = run()
    assert code == 2
    assert "no documents" in err


def test_a_closed_pipe_ends_quietly(model: Path, tmp_path: Path) -> None:
    path = tmp_path / "in.jsonl"
    path.write_text('{"text": "a b c"}\n' * 5000)
    process = subprocess.Popen(
        [sys.executable, "-m", "nysformer", "predict", "--model", model, path],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert json.loads(process.stdout.readline())["line"] == 1
    process.stdout.close()
    assert process.stderr is not None
    assert process.stderr.read() == b""
    process.stderr.close()
    assert process.wait() == 0


def test_help_has_an_example_and_the_real_default(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["nysformer", "predict", "--help"])
    with pytest.raises(SystemExit) as exit:
        main()
    out = capsys.readouterr().out
    assert exit.value.code == 0
    assert "Example: nysformer predict --model runs/demo LICENSE" in out
    assert f"[default: {TOKENS_PER_BATCH}]" in out


def table(path: Path) -> Path:
    path.write_text('id,title,text,label\n7,"a, title",a b,ham\n8,,c d e,eggs\n')
    return path


def test_columns_of_the_input_come_through(run: Run, tmp_path: Path) -> None:
    code, lines, err = run(table(tmp_path / "in.csv"), "--keep", "id,title", "--keep", "label,text", "--top-k", 1)
    assert (code, err) == (0, "")
    assert list(lines[0])[:7] == ["source", "line", "id", "title", "input_label", "text", "label"]
    assert [(line["id"], line["title"], line["input_label"], line["text"]) for line in lines] == [
        ("7", "a, title", "ham", "a b"),
        ("8", "", "eggs", "c d e"),
    ]
    assert [list(line["probabilities"]) for line in lines] == [[line["label"]] for line in lines]


def test_a_column_that_is_not_there(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.delattr("nysformer.inference.predict.Predictor.from_pretrained")  # no model is loaded
        code, lines, err = run(table(tmp_path / "in.csv"), "--keep", "id,nope")
    assert (code, lines) == (2, [])
    assert "no column 'nope' (there are: id, title, text, label)" in err
    (tmp_path / "in.txt").write_text("a")
    assert run(tmp_path / "in.txt", "--keep", "id")[0] == 2
    code, lines, err = run("--keep", "id", stdin=b'{"text": "a", "id": 1}\n{"text": "b"}\n')
    assert (code, [line["id"] for line in lines]) == (1, [1])
    assert err == "<stdin>:2: no column 'id' to keep (there are: none)\n"
    assert run("--keep", "id,", stdin=b'{"text": "a"}')[0] == 2


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_tables(run: Run, tmp_path: Path, form: str) -> None:
    output = tmp_path / f"out.{form}"
    assert run(table(tmp_path / "in.csv"), "--keep", "id", "--output", output) == (0, [], "")
    frame = pandas.read_csv(output, dtype={"id": str}) if form == "csv" else pandas.read_parquet(output)
    _, lines, _ = run(tmp_path / "in.csv")
    assert list(frame["id"]) == ["7", "8"]
    assert list(frame["label"]) == [line["label"] for line in lines]
    for name in ("ham", "spam", "eggs"):
        assert list(frame[f"probability_{name}"]) == [line["probabilities"][name] for line in lines]
    assert list(frame["truncated"]) == [False, False]
    assert sorted(os.listdir(tmp_path)) == ["in.csv", output.name]


def test_mostly_unknown_text_is_said_once(run: Run) -> None:
    stdin = '{"text": "a b"}\n{"text": "\u0436 \u4e00"}\n{"text": "\u0436 a \u0437"}\n{"text": "\u0436 a"}\n'.encode()
    code, lines, err = run(stdin=stdin)
    assert (code, [line["unknown"] for line in lines]) == (0, [0.0, 1.0, 0.666667, 0.5])
    assert err.startswith("warning: 2 documents are mostly unknown to the model's tokenizer (first: <stdin>:2);")
    assert len(err.splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--output", "{in}"], "is read as input"),
        (["--output", "{in}/below/out"], "is not a folder"),
        (["--output", "{folder}/missing/out"], "there is no folder"),
        (["--output", "{folder}/out.tsv"], ".tsv files are not written"),
        (["--format", "parquet"], "give --output FILE"),
        (["--device", "meta"], "device 'meta' cannot be used"),
        (["--max-length", "1000000"], "past the model's position table"),
        (["--max-length", "0"], "nysformer: --max-length: 0 is below 1; give a whole number"),
        (["--top-k", "0"], "nysformer: --top-k: 0 is below 1; give a whole number"),
        (["--resume"], "nysformer: --resume is for a file; give --output FILE, or leave it out"),
        (["--output", "{folder}/out", "--resume", "--overwrite"], "--resume and --overwrite: choose one"),
    ],
)
def test_options_that_cannot_be_meant(run: Run, tmp_path: Path, arguments: list[str], words: str) -> None:
    path = table(tmp_path / "in.csv")
    before = path.read_bytes()
    code, lines, err = run(path, *(each.replace("{in}", str(path)).format(folder=tmp_path) for each in arguments))
    assert (code, lines) == (2, [])
    assert words in err
    assert len(err.splitlines()) == 1
    assert (path.read_bytes(), os.listdir(tmp_path)) == (before, ["in.csv"])


def test_reading_options_and_what_was_skipped(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "in.csv"
    path.write_bytes("id\ttext\n1\tcaf\xe9\n".encode("cp1252"))
    code, lines, err = run(path, "--delimiter", "tab", "--encoding", "cp1252")
    assert (code, len(lines), err) == (0, 1, "")
    code, _, err = run(path, "--delimiter", ";;")
    assert code == 2
    assert "--delimiter: ';;' cannot part cells; give one character" in err
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "a.txt").write_text("a")
    (folder / "Makefile").write_text("all")
    (folder / "b.txt").write_bytes(b"%PDF-1.7")
    os.mkfifo(folder / "pipe.txt")
    code, lines, err = run(folder)
    assert (code, len(lines)) == (1, 1)
    skipped = "skipped: 1 pipe, socket or device, 1 without a suffix"
    assert err.splitlines() == [f"{folder}/b.txt: a PDF; extract its text first", skipped]
    assert len(run(folder, "--all-files")[1]) == 2


def rows_in(folder: Path) -> list[object]:
    """Make files in a folder, and give the arguments of a run over them."""
    rows = [{"text": "a b c " * (number % 7) + "d", "id": number} for number in range(60)]
    (folder / "in.jsonl").write_text("oops\n" + "".join(json.dumps(row) + "\n" for row in rows))
    (folder / "more.csv").write_text("id,text\n" + "".join(f"{number},x y z\n" for number in range(20)))
    return ["--device", "cpu", "--tokens-per-batch", 64, "--keep", "id", "in.jsonl", "more.csv"]


def start(model: Path, folder: Path, *arguments: object) -> "subprocess.Popen[str]":
    """The slow command with `--output a.jsonl` in a folder, until two windows are kept or it has ended."""
    process = subprocess.Popen(
        [sys.executable, "-c", SLOW, "predict", "--model", str(model), "--output", "a.jsonl", *map(str, arguments)],
        cwd=folder,
        stderr=subprocess.PIPE,
        text=True,
    )
    journal = folder / ".a.jsonl.unfinished" / "answers.jsonl"
    while process.poll() is None and not (journal.exists() and journal.read_bytes().count(b"\n") >= 2):
        time.sleep(0.02)
    return process


def test_a_killed_run_goes_on_to_the_same_bytes(
    run: Run, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    job = rows_in(tmp_path)
    process = start(model, tmp_path, *job)
    code, _, err = run(*job, "--output", "a.jsonl", "--resume")
    assert (code, len(err.splitlines())) == (2, 1)
    assert f"nysformer: a.jsonl: another run (pid {process.pid}" in err
    process.send_signal(signal.SIGKILL)
    _, err = process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL
    assert sorted(os.listdir(tmp_path)) == [".a.jsonl.unfinished", "in.jsonl", "more.csv"]
    assert [line[:23] for line in err.splitlines()] == ["in.jsonl:1: invalid JSO"]

    for arguments, words in (
        (job, "an unfinished run lies beside it; go on with: nysformer predict --model"),
        (
            [*job, "--resume", "--top-k", 2],
            "has no top_k, this one --top-k 2; give the same again, or start over with --",
        ),
        ([*job[:-2], "more.csv", "--resume"], "documents are not those of the unfinished run; give the same input"),
    ):
        code, _, err = run(*arguments, "--output", "a.jsonl")
        assert (code, len(err.splitlines())) == (2, 1)
        assert words in err
    code, _, err = run(*job, "--output", "a.jsonl", "--resume")
    assert code == 1
    assert re.fullmatch(r"a\.jsonl: going on after \d+ documents\n", err)
    assert run(*job, "--output", "whole.jsonl")[0] == 1
    assert Path("a.jsonl").read_bytes() == Path("whole.jsonl").read_bytes()
    assert sorted(os.listdir(tmp_path)) == ["a.jsonl", "in.jsonl", "more.csv", "whole.jsonl"]

    code, _, err = run(*job, "--output", "a.jsonl")
    assert (code, err) == (2, "nysformer: a.jsonl: this file exists; name another, or replace it with --overwrite\n")
    assert run("more.csv", "--output", "a.jsonl", "--overwrite")[0] == 0
    assert len(Path("a.jsonl").read_bytes().splitlines()) == 20


@pytest.mark.parametrize("output", ["a.csv", "a.parquet"])
def test_ctrl_c_says_how_to_go_on(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, output: str) -> None:
    monkeypatch.chdir(tmp_path)
    job = rows_in(tmp_path)
    plain, batches = Runner._forward, itertools.count()

    def interrupted(*arguments: Any) -> Any:
        if next(batches) == 9:
            raise KeyboardInterrupt
        return plain(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(Runner, "_forward", interrupted)
        code, _, err = run(*job, "--output", output)
    assert code == 130
    bad, line = err.splitlines()
    assert bad.startswith("in.jsonl:1: invalid JSON")
    assert re.match(
        rf"nysformer: {output}: interrupted; \d+ documents are kept: go on with: nysformer predict --", line
    )
    assert line.endswith(f"--output {output} --resume")
    assert not Path(output).exists()
    assert run(*job, "--output", output, "--resume")[0] == 1
    assert run(*job, "--output", f"whole-{output}")[0] == 1
    if output == "a.csv":
        assert Path(output).read_bytes() == Path(f"whole-{output}").read_bytes()
    else:
        pandas.testing.assert_frame_equal(pandas.read_parquet(output), pandas.read_parquet(f"whole-{output}"))
