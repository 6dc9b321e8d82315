import io
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from tiny import save_classifier

from nysformer.cli.main import main
from nysformer.inference.embed import Embedder
from nysformer.inference.stored_vectors import VectorFile

Run = Callable[..., tuple[int, str]]

# The command, with every window kept, which stays at the third, so that it can be stopped there.
SLOW = """
import sys, time
from pathlib import Path
import nysformer.inference.embed_shards as embed_shards
import nysformer.inference.embed as embed
plain = embed.hidden_states
def slow(*arguments):
    while "--resume" not in sys.argv and len(list(Path(".v.parquet.unfinished").glob("*.parquet"))) >= 3:
        time.sleep(0.05)
    yield from plain(*arguments)
embed.hidden_states, embed_shards.SHARD_SECONDS = slow, 0.0
from nysformer.cli.main import main
sys.argv[0] = "nysformer"
main()
"""


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_classifier(tmp_path_factory.mktemp("model"))


@pytest.fixture
def run(model: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    def run(*arguments: object, stdin: bytes = b"") -> tuple[int, str]:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        monkeypatch.setattr(
            sys, "argv", ["nysformer", "embed", "--model", str(model), "--device", "cpu", *map(str, arguments)]
        )
        with pytest.raises(SystemExit) as exit:
            main()
        out, err = capfd.readouterr()
        assert out == ""
        return int(exit.value.code or 0), err

    return run


def test_passages_of_files_with_columns_kept(run: Run, model: Path, tmp_path: Path) -> None:
    rows = [{"text": "a b c. d e f!", "id": 7, "line": "x"}, {"text": "g", "id": None, "line": "y"}]
    (tmp_path / "in.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    output = tmp_path / "v.parquet"
    code, err = run("--output", output, "--passages", "sentences", "--keep", "id,line", tmp_path / "in.jsonl")
    assert (code, err) == (0, "")
    table = pq.read_table(output)
    assert table.column_names == ["source", "line", "id", "input_line", "start", "end", "text", "vector"]
    assert table["text"].to_pylist() == ["a b c.", "d e f!", "g"]
    assert table["id"].to_pylist() == ["7", "7", None]
    assert table["input_line"].to_pylist() == ["x", "x", "y"]
    embedder = Embedder.from_pretrained(model, device="cpu", passages="sentences")
    vectors = [answer.vectors for answer in embedder.embed([row["text"] for row in rows])]  # type: ignore[union-attr, misc]
    np.testing.assert_allclose(VectorFile(output).vectors(), np.concatenate(vectors), rtol=0, atol=1e-5)


def test_options_reach_the_embedder(run: Run, tmp_path: Path) -> None:
    output = tmp_path / "v.npy"
    options = ["--pooling", "first", "--no-normalize", "--max-length", 16, "--overlap", 0.5, "--dtype", "bfloat16"]
    code, err = run("--output", output, *options, stdin=b'{"text": "a b"}\n')
    assert (code, err) == (0, "")
    file = VectorFile(output)
    settings = {
        "pooling": "first",
        "passages": "none",
        "normalize": False,
        "max_length": 16,
        "overlap": 0.5,
        "keep": [],
    }
    assert file.about["settings"] == settings
    assert np.load(output).shape == (1, 32)
    assert abs(float(np.linalg.norm(file.vectors()[0])) - 1) > 0.1


def test_bad_lines_are_reported_and_the_rest_is_embedded(run: Run, tmp_path: Path) -> None:
    code, err = run("--output", tmp_path / "v.parquet", stdin=b'{"text": "a"}\n{"text": \n{"text": "b"}\n')
    assert code == 1
    assert err.splitlines()[0].startswith("<stdin>:2: invalid JSON")
    assert pq.read_table(tmp_path / "v.parquet")["line"].to_pylist() == [1, 3]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--output", "v.csv"], "name a file that ends in one of these"),
        (["--output", "v.parquet", "--passages", "words"], "passages: 'words' is unknown"),
        (["--output", "v.parquet", "--pooling", "first", "--passages", "9"], "--pooling mean or --passages none"),
        (["--output", "v.parquet", "--resume", "--overwrite"], "--resume and --overwrite: choose one"),
        (["--output", "v.parquet", "--max-length", "999"], "past the model's position table"),
    ],
)
def test_wrong_use_is_one_line(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    code, err = run(*arguments, stdin=b'{"text": "a"}\n')
    assert code == 2
    assert message in err
    assert len(err.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def start(model: Path, folder: Path, *more: str) -> "subprocess.Popen[str]":
    """The slow command on `folder / "in.jsonl"`, until its third window is kept or it has ended."""
    arguments = [
        "embed",
        "--model",
        str(model),
        "--device",
        "cpu",
        "--tokens-per-batch",
        "8",
        "--passages",
        "sentences",
    ]
    process = subprocess.Popen(
        [sys.executable, "-c", SLOW, *arguments, "--output", "v.parquet", "in.jsonl", *more],
        cwd=folder,
        stderr=subprocess.PIPE,
        text=True,
    )
    work = folder / ".v.parquet.unfinished"
    while process.poll() is None and len(list(work.glob("*.parquet"))) < 3:
        time.sleep(0.02)
    return process


@pytest.mark.parametrize("stop", [signal.SIGKILL, signal.SIGINT])
def test_a_stopped_run_goes_on(run: Run, model: Path, tmp_path: Path, stop: signal.Signals) -> None:
    texts = ["a b c. " * (number % 7) + "d" for number in range(200)]
    (tmp_path / "in.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in texts) + "oops\n")
    run("--output", tmp_path / "whole.parquet", "--passages", "sentences", tmp_path / "in.jsonl")
    process = start(model, tmp_path)
    process.send_signal(stop)
    _, err = process.communicate(timeout=60)
    assert process.returncode == {signal.SIGKILL: -signal.SIGKILL, signal.SIGINT: 130}[stop]
    assert not (tmp_path / "v.parquet").exists()
    if stop != signal.SIGKILL:
        (line,) = err.splitlines()
        assert line.startswith("nysformer: v.parquet: interrupted; ")
        assert "documents are kept: go on with: nysformer embed --model" in line
        assert line.endswith("in.jsonl --resume")
    kept = len(list((tmp_path / ".v.parquet.unfinished").glob("*.parquet")))
    assert kept >= 3

    code, err = run("--output", tmp_path / "v.parquet", tmp_path / "in.jsonl")
    assert (code, "an unfinished run lies beside it; go on with: nysformer embed" in err) == (2, True)
    process = start(model, tmp_path, "--resume")
    _, err = process.communicate(timeout=60)
    assert process.returncode == 1
    first, second = err.splitlines()
    assert first.startswith("v.parquet: going on after ")
    assert second.startswith("in.jsonl:201: invalid JSON")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.jsonl", "v.parquet", "whole.parquet"]
    whole, again = pq.read_table(tmp_path / "whole.parquet"), pq.read_table(tmp_path / "v.parquet")
    for name in ("line", "start", "end", "text"):
        assert whole[name].to_pylist() == again[name].to_pylist()
    vectors = [VectorFile(tmp_path / name).vectors() for name in ("whole.parquet", "v.parquet")]
    np.testing.assert_allclose(*vectors, rtol=0, atol=1e-5)
