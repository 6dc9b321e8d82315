"""The demo's report: what its page says, from the numbers it wrote down."""

from collections.abc import Mapping, Sequence
from typing import Any

from nysformer.data.licences import LicenceCorpus
from nysformer.demo.compare import METRICS
from nysformer.report.page import Example, Report

__all__ = ["read_of_each", "tell"]

_BY_TIME = "A run that ends by time does more steps on a faster machine, so its numbers vary from machine to machine."


def tell(metrics: Mapping[str, Any], corpus: LicenceCorpus, history: Sequence[Mapping[str, Any]], model: str) -> Report:
    """Put a demo into words.

    Args:
        metrics: the content of the demo's `metrics.json`.
        corpus: the documents it was trained and measured on.
        history: the entries of the training's `history.jsonl`.
        model: the name in `metrics["systems"]` of the demo's model.
    """
    total = sum(corpus.documents.values())
    training, options, recipe = metrics["training"], metrics["options"], metrics["recipe"]
    systems, example = metrics["systems"], metrics["test_example"]
    minutes = [(entry["seconds"] / 60, entry) for entry in history]
    probabilities = dict(sorted(example["probabilities"].items(), key=lambda item: -item[1]))
    return Report(
        title="Licence texts, sorted by a long-document encoder",
        introduction=(
            f"{total:,} licence texts, each with the category an expert gave it, in {corpus.groups:,} groups of "
            f"near-duplicates; no group is on two sides of the split. MiniLM, converted to a Nyströmformer that reads "
            f"4,096 tokens, {_trained(training, recipe)}. It is measured here on the "
            f"{corpus.documents['test']:,} test documents, beside baselines fitted on all training documents."
        ),
        verdict=metrics["verdict"],
        systems=systems,
        metrics=METRICS,
        model=model,
        loss=[(time, entry["loss"]) for time, entry in minutes if "loss" in entry],
        validation={
            metric.title: [
                (time, entry[f"eval_{metric.key}"]) for time, entry in minutes if f"eval_{metric.key}" in entry
            ]
            for metric in METRICS
        },
        example=Example(
            f"One test document: {example['document']} ({example['label']}, {example['length']:,} tokens)",
            probabilities,
            note=f"Chosen by rule: {example['rule']}. {_outcome(example)}",
        ),
        log_every=recipe.get("log_every", 10),
        settings={
            "corpus": f"{corpus.package} (CC-BY-4.0); "
            + ", ".join(f"{split} {count:,}" for split, count in corpus.documents.items()),
            "encoder": "all-MiniLM-L6-v2, 4,096 positions, softmax attention up to 512 tokens, 64 landmarks beyond",
            "training": f"{training['seconds'] / 60:.1f} minutes, {training['steps']:,} steps, "
            f"{training['tokens']:,} tokens; best step {training['best_step']:,}",
            **{name.replace("_", " "): _readable(value) for name, value in recipe.items()},
            "seed": str(options["seed"]),
            "versions": ", ".join(f"{name} {number}" for name, number in metrics["versions"].items()),
        },
        reproduce=[
            'pip install "nysformer[demo]"',
            f"nysformer demo --minutes {options['minutes']:g} --seed {options['seed']} --output {options['output']}",
            f"nysformer evaluate --model {options['output']} {options['output']}/corpus/test.jsonl",
        ],
        notes=[
            *([_BY_TIME] if training["stopped_by"] == "time" else []),
            f"One standard error of an accuracy on {corpus.documents['test']:,} documents is about "
            f"{_standard_error(systems[model][METRICS[0].key], corpus.documents['test']):.3f}, and more for documents "
            "that come in groups of versions: small differences are chance.",
            f"The training saw at most {recipe['versions_a_group']} documents of a group, and of each "
            f"{read_of_each(recipe)}; the baselines all of them. The test documents are read to the end.",
        ],
        footer="Where every document went, and why: corpus/split.json. The training curve: training/history.jsonl.",
    )


def read_of_each(recipe: Mapping[str, Any]) -> str:
    """What the training reads of a document."""
    length, windows = recipe["max_length"], recipe.get("train_windows")
    if recipe.get("reading") != "windows":
        return f"the first {length:,} tokens"
    return f"{'all' if windows is None else windows} windows of {length:,} tokens"


def _trained(training: Mapping[str, Any], recipe: Mapping[str, Any]) -> str:
    """How the model came to be."""
    probed = "got a head that was fitted to it by logistic regression"
    if not training["steps"]:
        return probed
    fine_tuned = f"was fine-tuned for {training['steps']:,} steps"
    return f"{probed} and {fine_tuned}" if recipe.get("probe_first") else fine_tuned


def _outcome(example: Mapping[str, Any]) -> str:
    """What the model and its rival said of the example."""
    verdict = "right" if example["predicted"] == example["label"] else "wrong"
    return (
        f"The model says {example['predicted']}, which is {verdict}; {example['rival']} says "
        f"{example['rival_predicted']}. Below: the model's probabilities."
    )


def _readable(value: Any) -> str:
    return f"{value:,}" if type(value) is int else str(value)


def _standard_error(share: float, documents: int) -> float:
    return float((share * (1 - share) / documents) ** 0.5)
