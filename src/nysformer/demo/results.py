"""What a demo leaves beside its model: the numbers, the report and the model card."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from importlib import metadata
from typing import Any

from nysformer import __version__
from nysformer.checkpoints.card import write_card
from nysformer.data.licences import LicenceCorpus
from nysformer.demo.compare import METRICS
from nysformer.demo.options import MODEL, VERSIONS_PER_GROUP, DemoOptions, DemoResult
from nysformer.demo.story import read_of_each, tell
from nysformer.files.atomic import write_atomically
from nysformer.models import NystromformerConfig, NystromformerForSequenceClassification
from nysformer.report.page import render_page
from nysformer.tasks.weaknesses import zero_f1

__all__ = ["RESULTS", "write_results"]

RESULTS = ("metrics.json", "report.html")
_BASE_MODEL = "sentence-transformers/all-MiniLM-L6-v2"


def write_results(result: DemoResult, corpus: LicenceCorpus, options: DemoOptions, recipe: Mapping[str, Any]) -> None:
    """Write `metrics.json`, `report.html` and the model card, each whole or not at all."""
    name, answer = result.example
    content = {
        "verdict": result.verdict,
        "systems": result.systems,
        "example": {"document": name, **answer.to_dict()},
        "test_example": dict(result.test_example),
        "options": asdict(options),
        "recipe": {"versions_a_group": VERSIONS_PER_GROUP, **recipe},
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
    _write_card(result, corpus, recipe)


def _write_card(result: DemoResult, corpus: LicenceCorpus, recipe: Mapping[str, Any]) -> None:
    """The card of the demo's model, with the scores of the baselines beside its own."""
    weakness = zero_f1(result.systems[MODEL])
    counts = ", ".join(f"{split} {count:,}" for split, count in corpus.documents.items())
    write_card(
        result.output,
        NystromformerConfig.from_pretrained(result.output),
        architecture=NystromformerForSequenceClassification.__name__,
        base_model=_BASE_MODEL,
        training=[
            f"Licence texts of {corpus.package} (CC-BY-4.0), each with the category an expert gave it: {counts}. No "
            f"group of near-duplicates is on two sides; of {corpus.groups:,} groups, training saw at most "
            f"{VERSIONS_PER_GROUP} documents each.",
            f"{result.training.steps:,} steps, {result.training.tokens:,} tokens, {result.training.seconds / 60:.1f} "
            f"minutes; the checkpoint of step {result.training.best_step:,} was chosen on the validation documents.",
        ],
        metrics=[
            (f"{metric.title}, test, {name}", measured[metric.key])
            for metric in METRICS
            for name, measured in result.systems.items()
        ],
        limits=[
            result.verdict,
            *([weakness] if weakness else []),
            f"Trained on {read_of_each(recipe)} of each text.",
            "A demonstration, made in minutes: not legal advice.",
        ],
    )
