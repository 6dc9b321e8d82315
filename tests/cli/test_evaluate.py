import json
import sys
from collections.abc import Callable
from pathlib import Path

import datasets
import pandas
import pytest
from tiny import save_classifier

from nysformer.cli.main import main

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_classifier(tmp_path_factory.mktemp("model"))


@pytest.fixture
def run(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")

    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["nysformer", "evaluate", "--model", str(model), *map(str, arguments)])
        with pytest.raises(SystemExit) as exit:
            main()
        return exit.value.code or 0, *capfd.readouterr()

    return run


def test_table_and_file(run: Run, tmp_path: Path) -> None:
    path, output = tmp_path / "test.jsonl", tmp_path / "metrics.json"
    rows = [("a", "ham"), ("b c", "spam"), ("d " * 300, "eggs")]
    path.write_text("".join(json.dumps({"text": text, "label": label}) + "\n" for text, label in rows))
    code, out, err = run(path, "--output", output)
    assert (code, err) == (0, "")
    metrics = json.loads(output.read_text())
    assert metrics["documents"] == 3
    assert metrics["truncated"] == 1
    for words in ("accuracy", "macro-F1", "spam", "precision", "1-512", "256", f"{metrics['accuracy']:.3f}"):
        assert words in out


def test_folders_are_labels(run: Run, tmp_path: Path) -> None:
    for label in ("ham", "spam", "eggs"):
        (tmp_path / "texts" / label).mkdir(parents=True)
        (tmp_path / "texts" / label / "1.txt").write_text("a b")
    code, out, _ = run(tmp_path / "texts")
    assert code == 0
    assert "0.333" in out  # one text, three labels


def test_wrong_use_is_one_line_and_two_and_leaves_no_file(run: Run, tmp_path: Path) -> None:
    path, output = tmp_path / "test.jsonl", tmp_path / "metrics.json"
    path.write_text('{"text": "a", "label": "bacon"}\n')
    code, out, err = run(path, "--output", output)
    assert (code, out) == (2, "")
    assert "'bacon'" in err
    assert len(err.splitlines()) == 1
    assert not output.exists()
    code, _, err = run(path, "--label-column", "kind")
    assert code == 2
    assert "no column 'kind'" in err
    path.write_text('{"tokens": ["a"], "tags": ["O"]}\n')
    code, _, err = run(path)
    assert code == 2
    assert err.endswith("; or the columns fit token-classification: give a model of 'token-classification'\n")
    code, _, err = run(path, "--output", tmp_path)
    assert code == 2
    assert "a folder" in err


def documents(path: Path, labels: list[str]) -> Path:
    path.write_text(
        "".join(json.dumps({"text": "a b " * i, "label": label}) + "\n" for i, label in enumerate(labels, 1))
    )
    return path


@pytest.mark.parametrize("suffix", ["jsonl", "csv", "parquet"])
def test_wrongly_answered_documents(run: Run, tmp_path: Path, suffix: str) -> None:
    path, errors, output = tmp_path / "test.jsonl", tmp_path / f"errors.{suffix}", tmp_path / "metrics.json"
    code, out, err = run(documents(path, ["ham", "spam", "eggs"] * 3), "--errors", errors, "--output", output)
    assert (code, err) == (0, "")
    read = {"jsonl": lambda file: pandas.read_json(file, lines=True), "csv": pandas.read_csv}
    rows = read.get(suffix, pandas.read_parquet)(errors)
    metrics = json.loads(output.read_text())
    confusion = metrics["confusion"]
    assert len(rows) == round(9 * (1 - metrics["accuracy"])) > 0
    assert list(rows) == ["source", "line", "label", "predicted", "probability", "length"]
    for row in rows.itertuples():
        assert row.source == str(path)
        assert row.label == ["ham", "spam", "eggs"][(row.line - 1) % 3] != row.predicted
        assert row.length == 2 * row.line + 2
        assert 1 / 3 <= row.probability <= 1
    assert confusion["labels"] == ["ham", "spam", "eggs"]
    for i, label in enumerate(confusion["labels"]):
        assert sum(confusion["counts"][i]) == 3
        for j, predicted in enumerate(confusion["labels"]):
            if i != j:
                assert confusion["counts"][i][j] == ((rows.label == label) & (rows.predicted == predicted)).sum()
    assert "rows: class; columns: taken for" in out


def test_many_classes_show_the_most_frequent_confusions(tmp_path: Path, run: Run) -> None:
    labels = [f"label {number}" for number in range(25)]
    folder = save_classifier(tmp_path / "model", labels=labels)
    code, out, _ = run("--model", folder, documents(tmp_path / "test.jsonl", labels))
    assert code == 0
    assert "taken for" in out
    assert "rows: class" not in out


def test_mostly_unknown_documents_are_said(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "test.jsonl"
    path.write_text('{"text": "a", "label": "ham"}\n{"text": "\u0436", "label": "ham"}\n', encoding="utf-8")
    code, _, err = run(path)
    assert code == 0
    assert err.startswith(f"warning: 1 document is mostly unknown to the model's tokenizer (first: {path}:2);")


def test_outputs_are_checked_before_the_model_is_loaded(run: Run, tmp_path: Path) -> None:
    path = documents(tmp_path / "test.jsonl", ["ham"])
    nowhere = ["--model", tmp_path / "no model"]
    for arguments, words in (
        (["--output", path], "is read as input"),
        (["--errors", path], "is read as input"),
        (["--errors", path / "below"], "is not a folder"),
        (["--output", tmp_path / "x", "--errors", tmp_path / "x"], "named for two outputs"),
        (["--errors", tmp_path / "x.tsv"], ".tsv files are not written"),
    ):
        code, out, err = run(path, *arguments, *nowhere)
        assert (code, out) == (2, "")
        assert words in err
    assert [file.name for file in tmp_path.iterdir()] == ["test.jsonl"]


def test_a_narrow_terminal_cuts_nothing(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    code, out, _ = run(documents(tmp_path / "test.jsonl", ["ham", "spam"]))
    assert code == 0
    assert "\u2026" not in out
    assert all(len(line) <= 40 for line in out.splitlines())


def test_reading_options_and_what_was_skipped(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "test.csv"
    path.write_bytes("text;label\ncaf\xe9;ham \n".encode("cp1252"))
    code, _, err = run(path, "--delimiter", ";", "--encoding", "cp1252")
    assert (code, err) == (0, "labels: 1 written otherwise, such as 'ham ' for 'ham', count as one spelling\n")
    for name in ("ham/old/1.txt", "spam/2.txt", "spam/3.png"):
        (tmp_path / "tree" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "tree" / name).write_text("a b")
    code, _, err = run(tmp_path / "tree")
    assert (code, err) == (0, "skipped: 1 .png\n")
    code, _, err = run(tmp_path / "tree", "--label-from", "parent")
    assert code == 2
    assert "the label 'old' is none of those" in err
    code, _, err = run(tmp_path / "tree", "--all-files")
    assert (code, err) == (0, "")


def test_ways_of_reading_side_by_side(run: Run, tmp_path: Path) -> None:
    labelled = tmp_path / "test.jsonl"
    labelled.write_text(
        "".join(json.dumps({"text": "a b c d e f g", "label": name}) + "\n" for name in ("ham", "eggs"))
    )
    output = tmp_path / "readings.json"
    code, out, _ = run(labelled, "--max-length", "6", "--compare-reading", "--output", output)
    assert code == 0
    for words in ("head+tail", "key-sentences", "windows", "documents/s", "macro-F1"):
        assert words in out
    assert set(json.loads(output.read_text())) == {"whole", "head", "tail", "head+tail", "windows", "key-sentences"}
    code, _, err = run(labelled, "--compare-reading", "--reading", "tail")
    assert (code, "--compare-reading" in err) == (2, True)
