"""The demo: a corpus, an encoder, a few minutes of training and an honest comparison, in one folder."""

import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from transformers.utils import logging

from nysformer.checkpoints.load import load_tokenizer
from nysformer.data.framing import Encoder
from nysformer.data.licences import LicenceCorpus, build_licence_corpus, licence_text
from nysformer.data.quiet import no_progress_bars
from nysformer.demo.baselines import majority_class, tfidf_svm
from nysformer.demo.compare import comparison_table, verdict
from nysformer.demo.encoder import convert_minilm
from nysformer.demo.example import choose_example
from nysformer.demo.options import MODEL, RIVALS, VERSIONS_PER_GROUP, DemoOptions, DemoResult
from nysformer.demo.results import RESULTS, write_results
from nysformer.demo.thin import thin_groups
from nysformer.errors import Interrupted, NysformerError
from nysformer.files.failures import write_failure
from nysformer.files.locks import holds_nothing, lock_folder
from nysformer.inference.evaluate import evaluate
from nysformer.inference.predict import Predictor
from nysformer.tasks.metrics import classification_metrics
from nysformer.tasks.sequence_classification import Prediction
from nysformer.tasks.weaknesses import zero_f1
from nysformer.training.card import CARD
from nysformer.training.finetune import finetune
from nysformer.training.folder import RunFolder
from nysformer.training.options import FinetuneOptions

__all__ = ["MODEL", "RECIPE", "DemoOptions", "DemoResult", "run_demo", "train_and_compare"]

FIRST_WORDS = 350

# How to use a few minutes of two cores; docs/dev/LOG.md says what was tried.
RECIPE: dict[str, Any] = {
    "reading": "windows",
    "max_length": 512,
    "overlap": 0.0,
    "train_windows": 2,
    "pooling": "mean",
    "head_layers": "first+last",
    "probe_first": True,
    "class_weights": "sqrt",
    "group_column": "group",
    "freeze_embeddings": True,
    "tokens_per_batch": 4096,
    "epochs": 10,
    "learning_rate": 2e-5,
    "bf16": True,
    "eval_dtype": "bfloat16",
    "eval_steps": 100,
    "log_every": 5,
}


def run_demo(options: DemoOptions, *, console: Console | None = None) -> DemoResult:
    """Build the licence corpus, convert the packaged MiniLM, and `train_and_compare` in `options.output`.

    Corpus and encoder stay there and are used again by the next demo of the same seed; a demo that was killed is
    simply run again.

    Args:
        options: see `DemoOptions`.
        console: where to say how it goes; None says nothing.

    Raises:
        NysformerError: a package of the extra `demo` is missing; the folder holds something else, cannot be written, or
            another process is writing there.
        Interrupted: Ctrl-C, with what stands and how to go on.
    """
    console = console or Console(quiet=True)
    output = Path(options.output)
    with lock_folder(output), _going_on(output), _quiet_libraries():
        _check_output(output)
        corpus = build_licence_corpus(output / "corpus", options.seed)
        counts = ", ".join(f"{split} {count:,}" for split, count in corpus.documents.items())
        total = sum(corpus.documents.values())
        console.print(f"corpus: {total:,} licence texts in {corpus.groups} groups of versions ({counts})")
        encoder = convert_minilm(output / "encoder")
        console.print("encoder: all-MiniLM-L6-v2 as a Nyströmformer of 4,096 positions")
        return train_and_compare(corpus, encoder, options, console=console)


@contextmanager
def _going_on(output: Path) -> Iterator[None]:
    """Let Ctrl-C, or a write that failed, say how to go on."""
    how = "corpus and encoder stay as far as they are whole; start it again with the same options"
    try:
        yield
    except KeyboardInterrupt as error:
        raise Interrupted(f"{output}: interrupted; {how}") from error
    except Exception as error:
        reason = write_failure(error)
        if reason is None or (isinstance(error, OSError) and not _is_below(error.filename, output)):
            raise
        raise NysformerError(f"{output}: cannot be written ({reason}); once this is fixed, {how}") from error


def _is_below(name: Any, folder: Path) -> bool:
    return name is None or Path(str(name)).absolute().is_relative_to(folder.absolute())


def train_and_compare(
    corpus: LicenceCorpus,
    encoder: Path,
    options: DemoOptions,
    *,
    console: Console,
    recipe: Mapping[str, Any] = RECIPE,
) -> DemoResult:
    """Train a classifier on the corpus, measure it beside the baselines, classify a licence, and write it all down.

    The model, `metrics.json` and `report.html` of an earlier demo stand until the new model is trained.

    Args:
        corpus: train, valid and test documents.
        encoder: a model folder with its tokenizer.
        options: of the demo.
        console: where to say how it goes.
        recipe: fields of `FinetuneOptions`.
    """
    output = Path(options.output)
    test = _rows(corpus.test)
    systems, rival_answers = _baselines(corpus, test, encoder)
    console.print(f"baselines: fitted, on {corpus.documents['test']:,} documents of groups that training does not hold")

    shutil.rmtree(output / "training", ignore_errors=True)  # of a demo before, whole or killed
    thinned = output / "train-thinned.jsonl"
    count = thin_groups(corpus.train, thinned, most=VERSIONS_PER_GROUP, seed=options.seed)
    console.print(f"training: on {count:,} documents, at most {VERSIONS_PER_GROUP} versions of a text")
    training = finetune(
        FinetuneOptions(
            model=str(encoder),
            train=(str(thinned),),
            valid=(str(corpus.valid),),
            output=str(output / "training"),
            seed=options.seed,
            **{**recipe, **({"time_limit": options.minutes} if options.minutes else {"max_steps": 0})},
        ),
        console=console,
    )
    for name in (*RESULTS, CARD):  # of an earlier model
        (output / name).unlink(missing_ok=True)
    RunFolder(output).publish(training.output / "checkpoints" / f"checkpoint-{training.best_step}")
    shutil.rmtree(training.output / "checkpoints")  # half a gigabyte of optimizer state; the demo is not resumed

    mistakes: list[dict[str, Any]] = []
    with _bar(console) as on_progress:
        systems[MODEL] = evaluate(output, [corpus.test], on_progress=on_progress, on_mistake=mistakes.append)
    example = _classify_a_licence(output)
    result = DemoResult(
        output=output,
        systems=systems,
        verdict=verdict(systems, MODEL, RIVALS),
        example=example,
        test_example=_test_example(output, test, {row["line"] for row in mistakes}, rival_answers),
        training=training,
    )
    write_results(result, corpus, options, recipe)
    console.print(comparison_table(systems, MODEL))
    console.print(result.verdict, style="bold", highlight=False)
    weakness = zero_f1(systems[MODEL])
    if weakness is not None:
        console.print(f"{MODEL}: {weakness}", markup=False, highlight=False)
    return result


def _check_output(output: Path) -> None:
    if output.exists() and not output.is_dir():
        raise NysformerError(f"{output}: a file stands where the demo's folder should be; name another with output=DIR")
    if output.is_dir() and not holds_nothing(output) and not (output / "corpus").is_dir():
        raise NysformerError(f"{output}: the folder holds something else than a demo; name another with output=DIR")


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


def _rows(path: Path) -> list[dict[str, Any]]:
    """The documents of one of the corpus's files."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def _baselines(
    corpus: LicenceCorpus, test: Sequence[Mapping[str, Any]], encoder: Path
) -> tuple[dict[str, Mapping[str, Any]], list[str]]:
    """The baselines' metrics on the test documents, whose lengths are in the encoder's tokens; the best one's answers.

    Returns:
        The metrics of each baseline, and the labels that TF-IDF on the whole text gave.
    """
    train = _rows(corpus.train)
    train_texts, train_labels = [row["text"] for row in train], [row["label"] for row in train]
    texts, labels = [row["text"] for row in test], [row["label"] for row in test]
    names = sorted(set(train_labels) | set(labels))
    tokenizer = load_tokenizer(encoder)
    tokens = Encoder(tokenizer, tokenizer.model_max_length)
    lengths = [tokens.frame().length(document.ids) for document in tokens.tokens(texts)]
    targets = torch.tensor([names.index(label) for label in labels])
    first, whole = RIVALS
    scores = {
        "majority class": majority_class(train_labels, len(texts), names),
        first: tfidf_svm(train_texts, train_labels, texts, names, words=FIRST_WORDS),
        whole: tfidf_svm(train_texts, train_labels, texts, names),
    }
    metrics: dict[str, Mapping[str, Any]] = {
        name: classification_metrics(logits, targets, lengths, names) for name, logits in scores.items()
    }
    return metrics, [names[index] for index in scores[whole].argmax(dim=-1).tolist()]


def _test_example(
    model: Path, test: Sequence[Mapping[str, Any]], mistakes: set[int], rival_answers: Sequence[str]
) -> dict[str, Any]:
    """One test document with its answers; `mistakes` are the lines that the model gets wrong, from 1."""
    rival = list(RIVALS)[-1]
    place, rule = choose_example(
        [line not in mistakes for line in range(1, len(test) + 1)],
        [answer == row["label"] for answer, row in zip(rival_answers, test, strict=True)],
        model="the model",
        rival=rival,
    )
    row = test[place]
    answer = _answer(model, row["text"], row["id"])
    return {
        "document": row["id"],
        "label": row["label"],
        "predicted": answer.label,
        "probabilities": answer.probabilities,
        "length": answer.length,
        "rule": rule,
        "rival": rival,
        "rival_predicted": rival_answers[place],
    }


def _classify_a_licence(model: Path) -> tuple[str, Prediction]:
    """This repository's LICENSE where the package runs from a checkout, else the corpus package's Apache-2.0."""
    checkout = Path(__file__).parents[3]
    if (checkout / "LICENSE").is_file() and (checkout / "pyproject.toml").is_file():
        name, text = "this repository's LICENSE", (checkout / "LICENSE").read_text(encoding="utf-8")
    else:
        name, text = "Apache-2.0, as licensedcode-data has it", licence_text("apache-2.0")
    return name, _answer(model, text, name)


def _answer(model: Path, text: str, name: str) -> Prediction:
    answer = next(Predictor.from_pretrained(model).predict([text]))
    if not isinstance(answer, Prediction):
        raise NysformerError(f"{name} cannot be classified: {answer}")
    return answer
