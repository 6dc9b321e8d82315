"""A whole demo, on letters: what it leaves behind, that it can be run again, and what it refuses."""

import json
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from nysformer.data.licences import LicenceCorpus
from nysformer.demo import run
from nysformer.demo.example import choose_example
from nysformer.demo.run import MODEL, DemoOptions, DemoResult, run_demo, train_and_compare
from nysformer.errors import Interrupted, NysformerError
from nysformer.files.locks import LOCK, lock_folder
from nysformer.inference.evaluate import evaluate

RECIPE: dict[str, Any] = {
    "max_length": 64,
    "tokens_per_batch": 512,
    "max_steps": 12,
    "learning_rate": 1e-2,
    "eval_steps": 6,
    "log_every": 2,
}


def documents_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def encoder_of(corpus: LicenceCorpus, encoder: Path) -> Path:
    """The encoder with the corpus's labels."""
    path = encoder / "config.json"
    labels = dict(enumerate(("by", "gpl", "mit")))
    path.write_text(json.dumps(json.loads(path.read_bytes()) | {"id2label": labels, "label2id": {}}), encoding="utf-8")
    return encoder


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
    example = written["test_example"]
    assert example == result.test_example
    row = next(row for row in documents_of(corpus.test) if row["id"] == example["document"])
    assert row["label"] == example["label"]
    assert example["predicted"] == max(example["probabilities"], key=example["probabilities"].get)
    assert example["rule"] in page
    assert "each point is the mean over 2 steps" in page
    card = (folder / "README.md").read_text(encoding="utf-8")
    assert "base_model: sentence-transformers/all-MiniLM-L6-v2" in card
    for name, metrics in result.systems.items():
        assert f"| accuracy, test, {name} | {metrics['accuracy']:.4g} |" in card
    said = console.file.getvalue()
    assert result.verdict in " ".join(said.split())
    assert not (folder / "training" / "checkpoints").exists()
    assert not [path for path in folder.rglob("*") if path.name.endswith((".part", ".partial"))]


def test_a_demo_of_the_fitted_head_alone(corpus: LicenceCorpus, encoder: Path) -> None:
    recipe = {**run.RECIPE, "max_length": 64, "eval_dtype": None}
    options = DemoOptions(output=str(corpus.directory.parent))
    result = train_and_compare(corpus, encoder, options, console=Console(quiet=True), recipe=recipe)
    assert (result.training.steps, result.training.best_step) == (0, 0)
    page = (result.output / "report.html").read_text(encoding="utf-8")
    assert "got a head that was fitted to it by logistic regression. It is measured" in page
    assert "Training curve" not in page
    assert "of each 2 windows of 64 tokens; the baselines all of them" in page
    assert "Trained on 2 windows of 64 tokens of each text." in (result.output / "README.md").read_text("utf-8")


@pytest.mark.parametrize("right", [0, 7, 24])
def test_the_example_is_of_the_documents_it_says(
    corpus: LicenceCorpus, encoder: Path, monkeypatch: pytest.MonkeyPatch, right: int
) -> None:
    """The model's answers are those that evaluation saw: here it gets the first `right` documents right."""
    rows = documents_of(corpus.test)
    wrong = {line for line in range(1, len(rows) + 1) if line > right}
    place, rule = choose_example(
        [line not in wrong for line in range(1, 25)], [False] * 24, model="the model", rival="TF-IDF, whole text"
    )
    example = run._test_example(encoder, rows, wrong, ["nothing"] * 24)
    assert (example["document"], example["rule"]) == (rows[place]["id"], rule)
    assert place == 0


def test_mistakes_are_told_by_their_line(corpus: LicenceCorpus, encoder: Path) -> None:
    mistakes: list[dict[str, Any]] = []
    metrics = evaluate(encoder_of(corpus, encoder), [corpus.test], on_mistake=mistakes.append)
    assert len(mistakes) == round(24 * (1 - metrics["accuracy"])) > 0
    rows = documents_of(corpus.test)
    assert all(rows[each["line"] - 1]["label"] == each["label"] for each in mistakes)


def test_a_second_demo_replaces_the_first(
    corpus: LicenceCorpus, encoder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = demo(corpus, encoder)
    assert (first.output / "README.md").is_file()

    def killed(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(run, "evaluate", killed)
        with pytest.raises(KeyboardInterrupt):
            demo(corpus, encoder)
    for name in ("report.html", "metrics.json", "README.md"):
        assert not (first.output / name).exists(), "of a model that is no more"
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
        DemoOptions(minutes=-1)
    with pytest.raises(NysformerError, match="minutes"):
        DemoOptions(minutes=float("nan"))
    with pytest.raises(NysformerError, match="seed"):
        DemoOptions(seed=-1)
    for changes, words in (
        ({"minutes": float("inf")}, "minutes: inf is not finite; give a number from 0 to 1,000,000"),
        ({"minutes": True}, "minutes: True is not a number"),
        ({"seed": 2**32}, "seed: 4294967296 is above 4,294,967,295"),
        ({"seed": 1.0}, "seed: 1.0 is not a whole number"),
        ({"output": ""}, "output: the text is empty"),
    ):
        with pytest.raises(NysformerError, match=words):
            DemoOptions(**changes)


def test_an_interrupted_demo_says_how_to_go_on(
    corpus: LicenceCorpus, encoder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = corpus.directory.parent
    monkeypatch.setattr(run, "build_licence_corpus", lambda directory, seed: corpus)

    def ends_with(error: BaseException) -> None:
        def convert(directory: Path) -> Path:
            raise error

        monkeypatch.setattr(run, "convert_minilm", convert)

    ends_with(Interrupted("training: go on from it with resume=True"))
    with pytest.raises(Interrupted) as caught:
        run_demo(DemoOptions(output=str(output)))
    how = "corpus and encoder stay as far as they are whole; start it again with the same options"
    assert str(caught.value) == f"{output}: interrupted; {how}"
    ends_with(OSError(28, "No space left on device", str(output / "model.safetensors")))
    with pytest.raises(NysformerError) as full:
        run_demo(DemoOptions(output=str(output)))
    assert str(full.value) == f"{output}: cannot be written (no space left on device); once this is fixed, {how}"
    assert not (output / LOCK).exists()


def test_two_demos_in_one_folder(tmp_path: Path) -> None:
    with lock_folder(tmp_path), pytest.raises(NysformerError, match=r"another run \(pid \d+, .* is writing here"):
        run_demo(DemoOptions(output=str(tmp_path)))
    (tmp_path / "out.txt").touch()
    with pytest.raises(NysformerError, match=r"out\.txt is not a folder"):
        run_demo(DemoOptions(output=str(tmp_path / "out.txt" / "demo")))
