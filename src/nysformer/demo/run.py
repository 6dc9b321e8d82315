"""The demo: a corpus, an encoder, a few minutes of fine-tuning and an honest comparison, in one folder."""

import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from transformers.utils import logging

from nysformer import __version__
from nysformer.data.atomic import write_atomically
from nysformer.data.encode import encode
from nysformer.data.licences import LicenceCorpus, build_licence_corpus, licence_text
from nysformer.data.quiet import no_progress_bars
from nysformer.demo.baselines import majority_class, tfidf_svm
from nysformer.demo.compare import comparison_table, verdict
from nysformer.demo.encoder import convert_minilm
from nysformer.demo.story import tell
from nysformer.demo.thin import thin_groups
from nysformer.errors import NysformerError
from nysformer.inference.evaluate import evaluate
from nysformer.inference.load import load_tokenizer
from nysformer.inference.metrics import classification_metrics
from nysformer.inference.predict import Prediction, Predictor
from nysformer.models.ranges import Number, Text, check_options, option, whole
from nysformer.report.page import render_page
from nysformer.training.finetune import finetune
from nysformer.training.folder import RunFolder
from nysformer.training.options import FinetuneOptions, FinetuneResult

__all__ = ["MODEL", "RECIPE", "DemoOptions", "DemoResult", "run_demo", "train_and_compare"]

MODEL = "nysformer"
RIVALS = {
    "TF-IDF, first 350 words": "TF-IDF + linear SVM on the first 350 words",
    "TF-IDF, whole text": "TF-IDF + linear SVM on the whole text",
}
FIRST_WORDS = 350

# How to use four minutes of two cores; docs/dev/LOG.md says what was tried.
RECIPE: dict[str, Any] = {
    "max_length": 256,
    "tokens_per_batch": 2048,
    "epochs": 10,
    "learning_rate": 2e-4,
    "bf16": True,
    "eval_steps": 100,
    "log_every": 5,
    "best_metric": "macro_f1",
}


# The largest group of versions is a third of the corpus: what is past this many a group teaches the encoder little.
VERSIONS_A_GROUP = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoOptions:
    """The settings of the demo.

    Attributes:
        minutes: of fine-tuning, its validations included.
        output: the folder for everything; it becomes a model folder.
        seed: of the split by group, the new head, the order of documents and dropout.
    """

    minutes: float = option(4.0, Number(0, 1_000_000, open_low=True))
    output: str = option("runs/demo", Text())
    seed: int = option(0, whole(0, 2**32 - 1))

    def __post_init__(self) -> None:
        """Refuse values out of range.

        Raises:
            NysformerError: with the option, its value and the range it may have.
        """
        check_options(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoResult:
    """How the demo ended.

    Attributes:
        output: the model folder, with `metrics.json` and `report.html`.
        systems: name -> the result of `classification_metrics` on the test documents, baselines first.
        verdict: who won, in one sentence.
        example: the classified licence: what it is, and the answer.
        training: of the fine-tuning, see `FinetuneResult`.
    """

    output: Path
    systems: Mapping[str, Mapping[str, Any]]
    verdict: str
    example: tuple[str, Prediction]
    training: FinetuneResult


def run_demo(options: DemoOptions, *, console: Console | None = None) -> DemoResult:
    """Build the licence corpus, convert the packaged MiniLM, and `train_and_compare` in `options.output`.

    Corpus and encoder stay there and are used again by the next demo of the same seed; a demo that was killed is
    simply run again.

    Args:
        options: see `DemoOptions`.
        console: where to say how it goes; None says nothing.

    Raises:
        NysformerError: a package of the extra `demo` is missing; the folder holds something else, or cannot be written.
    """
    console = console or Console(quiet=True)
    output = Path(options.output)
    _check_output(output)
    with _quiet_libraries():
        corpus = build_licence_corpus(output / "corpus", options.seed)
        counts = ", ".join(f"{split} {count:,}" for split, count in corpus.documents.items())
        total = sum(corpus.documents.values())
        console.print(f"corpus: {total:,} licence texts in {corpus.groups} groups of versions ({counts})")
        encoder = convert_minilm(output / "encoder")
        console.print("encoder: all-MiniLM-L6-v2 as a Nyströmformer of 4,096 positions")
        return train_and_compare(corpus, encoder, options, console=console)


def train_and_compare(
    corpus: LicenceCorpus,
    encoder: Path,
    options: DemoOptions,
    *,
    console: Console,
    recipe: Mapping[str, Any] = RECIPE,
) -> DemoResult:
    """Fine-tune `encoder` on the corpus, measure it beside the baselines, classify a licence, write it all down.

    The model, `metrics.json` and `report.html` of an earlier demo stand until the new model is trained.

    Args:
        corpus: train, valid and test documents.
        encoder: a model folder with its tokenizer.
        options: of the demo.
        console: where to say how it goes.
        recipe: fields of `FinetuneOptions`.
    """
    output = Path(options.output)
    systems: dict[str, Mapping[str, Any]] = _baselines(corpus, encoder)
    console.print(f"baselines: fitted, on {corpus.documents['test']:,} documents of groups that training does not hold")

    shutil.rmtree(output / "training", ignore_errors=True)  # of a demo before, whole or killed
    thinned = output / "train-thinned.jsonl"
    count = thin_groups(corpus.train, thinned, most=VERSIONS_A_GROUP, seed=options.seed)
    console.print(f"fine-tuning: on {count:,} documents, at most {VERSIONS_A_GROUP} versions of a text")
    training = finetune(
        FinetuneOptions(
            model=str(encoder),
            train=(str(thinned),),
            valid=(str(corpus.valid),),
            output=str(output / "training"),
            time_limit=options.minutes,
            seed=options.seed,
            **recipe,
        ),
        console=console,
    )
    for name in ("metrics.json", "report.html"):
        (output / name).unlink(missing_ok=True)
    RunFolder(output).publish(training.output / "checkpoints" / f"checkpoint-{training.best_step}")
    shutil.rmtree(training.output / "checkpoints")  # half a gigabyte of optimizer state; the demo is not resumed

    with _bar(console) as on_progress:
        systems[MODEL] = evaluate(output, [corpus.test], on_progress=on_progress)
    example = _classify_a_licence(output)
    result = DemoResult(
        output=output,
        systems=systems,
        verdict=verdict(systems, MODEL, RIVALS),
        example=example,
        training=training,
    )
    _write(result, corpus, options, recipe)
    console.print(comparison_table(systems, MODEL))
    console.print(result.verdict, style="bold", highlight=False)
    return result


def _check_output(output: Path) -> None:
    if output.exists() and not output.is_dir():
        raise NysformerError(f"{output}: a file stands where the demo's folder should be; name another with --output")
    if output.is_dir() and any(output.iterdir()) and not (output / "corpus").is_dir():
        raise NysformerError(f"{output}: the folder holds something else than a demo; name another with --output")


@contextmanager
def _quiet_libraries() -> Iterator[None]:
    """What transformers reports on every load and save would bury what the demo says: every part is as it should be."""
    verbosity, ours = logging.get_verbosity(), logging.get_logger("nysformer")
    level = ours.level
    logging.set_verbosity_error()
    ours.setLevel(logging.ERROR)
    try:
        with no_progress_bars():
            yield
    finally:
        logging.set_verbosity(verbosity)
        ours.setLevel(level)


@contextmanager
def _bar(console: Console) -> Iterator[Any]:
    columns = (TextColumn("testing"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=console.quiet) as progress:
        task = progress.add_task("", total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)


def _rows(path: Path) -> tuple[list[str], list[str]]:
    """Texts and labels of one of the corpus's files."""
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return [row["text"] for row in rows], [row["label"] for row in rows]


def _baselines(corpus: LicenceCorpus, encoder: Path) -> dict[str, Mapping[str, Any]]:
    """The baselines' metrics on the test documents, whose lengths are in the encoder's tokens."""
    train_texts, train_labels = _rows(corpus.train)
    texts, labels = _rows(corpus.test)
    names = sorted(set(train_labels) | set(labels))
    tokenizer = load_tokenizer(encoder)
    lengths = [document.length if document else 1 for document in encode(texts, tokenizer, tokenizer.model_max_length)]
    targets = torch.tensor([names.index(label) for label in labels])
    first, whole = RIVALS
    scores = {
        "majority class": majority_class(train_labels, len(texts), names),
        first: tfidf_svm(train_texts, train_labels, texts, names, words=FIRST_WORDS),
        whole: tfidf_svm(train_texts, train_labels, texts, names),
    }
    return {name: classification_metrics(logits, targets, lengths, names) for name, logits in scores.items()}


def _classify_a_licence(model: Path) -> tuple[str, Prediction]:
    """This repository's LICENSE where the package runs from a checkout, else the corpus package's Apache-2.0."""
    checkout = Path(__file__).parents[3]
    if (checkout / "LICENSE").is_file() and (checkout / "pyproject.toml").is_file():
        name, text = "this repository's LICENSE", (checkout / "LICENSE").read_text(encoding="utf-8")
    else:
        name, text = "Apache-2.0, as licensedcode-data has it", licence_text("apache-2.0")
    answer = next(Predictor.from_pretrained(model).predict([text]))
    if not isinstance(answer, Prediction):
        raise NysformerError(f"{name} cannot be classified: {answer}")
    return name, answer


def _write(result: DemoResult, corpus: LicenceCorpus, options: DemoOptions, recipe: Mapping[str, Any]) -> None:
    """`metrics.json` and `report.html`, each whole or not at all."""
    name, answer = result.example
    content = {
        "verdict": result.verdict,
        "systems": result.systems,
        "example": {"document": name, **answer.to_dict()},
        "options": asdict(options),
        "recipe": {"versions_a_group": VERSIONS_A_GROUP, **recipe},
        "training": {**asdict(result.training), "output": str(result.training.output)},
        "versions": {package: metadata.version(package) for package in ("torch", "transformers", "scikit-learn")}
        | {"nysformer": __version__, "corpus": corpus.package},
    }
    with write_atomically(result.output / "metrics.json") as file:
        json.dump(content, file, indent=2, ensure_ascii=False)
        file.write("\n")
    history = (result.training.output / "history.jsonl").read_text(encoding="utf-8").splitlines()
    with write_atomically(result.output / "report.html") as file:
        file.write(render_page(tell(content, corpus, [json.loads(line) for line in history], MODEL)))
