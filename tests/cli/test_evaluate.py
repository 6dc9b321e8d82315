import json
import sys
from collections.abc import Callable
from pathlib import Path

import datasets
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
    code, _, err = run(path, "--output", tmp_path)
    assert code == 2
    assert "a folder" in err


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
