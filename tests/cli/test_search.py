import io
import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from tiny import save_classifier

from nysformer.cli.main import main
from nysformer.data.records import Record
from nysformer.inference.embed import Embedder
from nysformer.inference.embed_file import embed_to_file

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With a model and two indexes: passages.parquet and documents.parquet."""
    folder = tmp_path_factory.mktemp("search")
    save_classifier(folder / "model")
    records = [Record(f"a b {letter}. x y {letter}!", "in.jsonl", line) for line, letter in enumerate("cdefgh", 1)]
    for name, passages in (("passages", "sentences"), ("documents", "none")):
        embedder = Embedder.from_pretrained(folder / "model", device="cpu", passages=passages)  # type: ignore[arg-type]
        embed_to_file(embedder, records, folder / f"{name}.parquet")
    return folder


@pytest.fixture
def run(folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    def run(command: str, *arguments: object, stdin: bytes = b"") -> tuple[int, str, str]:
        monkeypatch.chdir(folder)
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        monkeypatch.setattr(sys, "argv", ["nysformer", command, *map(str, arguments)])
        with pytest.raises(SystemExit) as exit:
            main()
        return (int(exit.value.code or 0), *capfd.readouterr())

    return run


SEARCH = ("search", "--model", "model", "--device", "cpu")


def test_passages_with_place_and_score(run: Run) -> None:
    code, out, err = run(*SEARCH, "--index", "passages.parquet", "--top", 3, "x y e!")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert len(lines) == 6
    for rank, (place, text) in enumerate(zip(lines[::2], lines[1::2], strict=True), start=1):
        number, score, source = place.split()
        assert (number, source.partition(":")[0]) == (str(rank), "in.jsonl")
        assert -1 <= float(score) <= 1
        assert text.startswith("     ")


@pytest.mark.parametrize(
    ("arguments", "stdin"), [(["a b e. x y e!"], b""), (["-"], b"a b e. x y e!"), ([], b"a b e. x y e!")]
)
def test_documents_as_json_from_argument_and_standard_input(run: Run, arguments: list[str], stdin: bytes) -> None:
    code, out, err = run(*SEARCH, "--index", "documents.parquet", "--json", "--top", 2, *arguments, stdin=stdin)
    assert (code, err) == (0, "")
    first, second = map(json.loads, out.splitlines())
    assert first == {"rank": 1, "score": pytest.approx(1, abs=1e-5), "source": "in.jsonl", "line": 3}
    assert second["rank"] == 2


def test_one_answer_per_document(run: Run) -> None:
    _, out, _ = run(*SEARCH, "--index", "passages.parquet", "--json", "--per", "document", "x y e!")
    rows = [json.loads(line) for line in out.splitlines()]
    assert sorted(row["line"] for row in rows) == [1, 2, 3, 4, 5, 6]
    assert set(rows[0]) == {"rank", "score", "source", "line", "start", "end", "text"}


def test_an_index_folder(run: Run, folder: Path) -> None:
    pytest.importorskip("usearch", reason="needs the extra [search]")
    assert run("index", "passages.parquet", "--output", "folder") == (0, "", "")
    found = [run(*SEARCH, "--index", index, "--json", "x y e!")[1] for index in ("passages.parquet", "folder")]
    exact, graph = ([json.loads(line) for line in out.splitlines()] for out in found)
    assert [row["score"] for row in graph] == pytest.approx([row["score"] for row in exact], abs=2e-3)
    code, _, err = run("index", "passages.parquet", "--output", "folder")
    assert (code, "something stands there already" in err) == (2, True)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--index", "none.parquet", "a"], "none.parquet: no such file; make it with `nysformer embed`"),
        (["--index", "model", "a"], "model: not a folder of `nysformer index`"),
        (["--index", "in.csv", "a"], "vectors are written as Parquet or .npy"),
        (["--index", "documents.parquet", "  "], "query: the text is empty"),
        (["--index", "documents.parquet"], "query: the text is empty"),
    ],
)
def test_wrong_use_is_one_line(run: Run, arguments: list[str], message: str) -> None:
    code, out, err = run(*SEARCH, *arguments)
    assert (code, out) == (2, "")
    assert message in err
    assert len(err.splitlines()) == 1


def test_a_query_that_is_no_text(run: Run) -> None:
    code, _, err = run(*SEARCH, "--index", "documents.parquet", stdin=b"\xff\xfe")
    assert (code, "standard input is not UTF-8" in err) == (2, True)
