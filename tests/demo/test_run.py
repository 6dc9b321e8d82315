"""A whole demo, on letters: what it leaves behind, that it can be run again, and what it refuses."""

import json
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from nysformer.data.licences import LicenceCorpus
from nysformer.demo import run
from nysformer.demo.run import MODEL, DemoOptions, DemoResult, run_demo, train_and_compare
from nysformer.errors import NysformerError
from nysformer.inference.evaluate import evaluate

RECIPE: dict[str, Any] = {
    "max_length": 64,
    "tokens_per_batch": 512,
    "max_steps": 12,
    "learning_rate": 1e-2,
    "eval_steps": 6,
    "log_every": 2,
}


def demo(corpus: LicenceCorpus, encoder: Path, console: Console | None = None) -> DemoResult:
    options = DemoOptions(output=str(corpus.directory.parent), minutes=1.0)
    return train_and_compare(corpus, encoder, options, console=console or Console(quiet=True), recipe=RECIPE)


def test_what_a_demo_leaves_behind(corpus: LicenceCorpus, encoder: Path) -> None:
    console = Console(file=StringIO(), width=100)
    result = demo(corpus, encoder, console)
    folder = result.output
    assert list(result.systems) == ["majority class", "TF-IDF, first 350 words", "TF-IDF, whole text", MODEL]
    assert {name: metrics["documents"] for name, metrics in result.systems.items()} == dict.fromkeys(result.systems, 24)
    lengths = {
        name: [(b["band"], b["documents"]) for b in metrics["by_length"]] for name, metrics in result.systems.items()
    }
    assert all(bands == lengths[MODEL] for bands in lengths.values())

    written = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    assert written["verdict"] == result.verdict
    assert written["systems"][MODEL]["accuracy"] == result.systems[MODEL]["accuracy"]
    assert written["example"]["label"] in {"by", "gpl", "mit"}
    again = evaluate(folder, [corpus.test])
    assert again["accuracy"] == result.systems[MODEL]["accuracy"]

    page = (folder / "report.html").read_text(encoding="utf-8")
    assert f"{result.systems[MODEL]['macro_f1']:.3f}" in page
    assert "nysformer demo --minutes 1 --seed 0" in page
    said = console.file.getvalue()
    assert result.verdict in " ".join(said.split())
    assert not (folder / "training" / "checkpoints").exists()
    assert not [path for path in folder.rglob("*") if path.name.endswith((".part", ".partial"))]


def test_a_second_demo_replaces_the_first(
    corpus: LicenceCorpus, encoder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = demo(corpus, encoder)

    def killed(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(run, "evaluate", killed)
        with pytest.raises(KeyboardInterrupt):
            demo(corpus, encoder)
    assert not (first.output / "report.html").exists()  # of a model that is no more
    second = demo(corpus, encoder)
    assert second.systems[MODEL]["macro_f1"] == first.systems[MODEL]["macro_f1"]
    assert (first.output / "report.html").is_file()


def test_a_demo_is_its_parts_put_together(
    corpus: LicenceCorpus, encoder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []
    monkeypatch.setattr(run, "build_licence_corpus", lambda directory, seed: asked.append((directory, seed)) or corpus)
    monkeypatch.setattr(run, "convert_minilm", lambda directory: asked.append(directory) or encoder)
    monkeypatch.setattr(run, "train_and_compare", lambda *parts, console: parts)
    output = corpus.directory.parent
    options = DemoOptions(output=str(output), seed=3)
    assert run_demo(options) == (corpus, encoder, options)
    assert asked == [(output / "corpus", 3), output / "encoder"]


def test_the_licence_of_a_checkout_and_of_an_installation(
    encoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, answer = run._classify_a_licence(encoder)
    assert name == "this repository's LICENSE"
    assert answer.length > 1000
    monkeypatch.setattr(run, "__file__", str(tmp_path / "lib" / "nysformer" / "demo" / "run.py"))
    name, elsewhere = run._classify_a_licence(encoder)
    assert name == "Apache-2.0, as licensedcode-data has it"
    assert elsewhere.length > 1000


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work", encoding="utf-8")
    with pytest.raises(NysformerError, match="something else than a demo"):
        run_demo(DemoOptions(output=str(tmp_path)))
    with pytest.raises(NysformerError, match="a file stands"):
        run_demo(DemoOptions(output=str(tmp_path / "thesis.tex")))
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_options_that_cannot_be_meant() -> None:
    with pytest.raises(NysformerError, match="minutes"):
        DemoOptions(minutes=0)
    with pytest.raises(NysformerError, match="minutes"):
        DemoOptions(minutes=float("nan"))
    with pytest.raises(NysformerError, match="seed"):
        DemoOptions(seed=-1)
