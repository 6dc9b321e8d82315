"""How many of a classifier's answers on long documents stay where softmax attention takes the place of landmarks."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from benchmarks.bars import at_least
from benchmarks.record import Record, show_table
from nysformer.checkpoints.load import load_model, load_tokenizer
from nysformer.data.licences import build_licence_corpus
from nysformer.errors import NysformerError
from nysformer.inference.predict import Predictor
from nysformer.models import NystromformerForSequenceClassification
from nysformer.models.exact import with_softmax_attention
from nysformer.tasks.metrics import classification_metrics
from nysformer.tasks.sequence_classification import Prediction

__all__ = ["measure_answers", "measure_answers_on"]

_KEPT = 0.95


def measure_answers(model: Path = Path("runs/licences")) -> Record:
    """Classify held-out licence texts whole, through landmarks and by softmax attention.

    Args:
        model: a classifier of licence texts with a converted encoder, trained outside the held-out groups, such as on
            `train.jsonl` of `nysformer.data.licences.build_licence_corpus`.

    Raises:
        NysformerError: no such model, or one without landmarks; a package is missing.
    """
    with tempfile.TemporaryDirectory() as folder:
        corpus = build_licence_corpus(folder)
        rows = [json.loads(row) for path in (corpus.valid, corpus.test) for row in path.open(encoding="utf-8")]
    return measure_answers_on(model, [row["text"] for row in rows], [row["label"] for row in rows])


def measure_answers_on(model: Path, texts: Sequence[str], labels: Sequence[str]) -> Record:
    """The same on any documents; those that softmax attention reads anyway, or that the model cannot read whole, are
    left out.

    Args:
        model: a classifier's folder.
        texts, labels: of the documents.
    """
    landmarks = load_model(model, NystromformerForSequenceClassification)
    assert isinstance(landmarks, NystromformerForSequenceClassification)
    exact_length, names = landmarks.config.exact_length, list(landmarks.config.id2label.values())
    if exact_length is None:
        raise NysformerError(f"{model}: it runs softmax attention at every length; name a model with landmarks")
    tokenizer = load_tokenizer(model)
    softmax = load_model(model, NystromformerForSequenceClassification)
    softmax.nystromformer = with_softmax_attention(landmarks.nystromformer)
    found = {}
    for form, each in (("landmarks", landmarks), ("softmax", softmax)):
        found[form] = list(Predictor(each, tokenizer, reading="whole").predict(texts))
    longest = landmarks.config.max_position_embeddings
    places = []
    for place, answer in enumerate(found["softmax"]):
        assert isinstance(answer, Prediction)
        if exact_length < answer.length <= longest and labels[place] in names:
            places.append(place)
    if not places:
        raise NysformerError(f"{model}: no document has more than {exact_length} and at most {longest} tokens")
    answers = {form: [str(given[place].label) for place in places] for form, given in found.items()}
    targets = torch.tensor([names.index(labels[place]) for place in places])
    lengths = [found["softmax"][place].length for place in places]
    rows: list[dict[str, Any]] = []
    for form, given in answers.items():
        scores = torch.nn.functional.one_hot(torch.tensor([names.index(label) for label in given]), len(names))
        metrics = classification_metrics(scores.float(), targets, lengths, names)
        same = sum(one == other for one, other in zip(given, answers["softmax"], strict=True))
        rows.append(
            {
                "attention": form,
                "documents": len(places),
                "accuracy": metrics["accuracy"],
                "macro_f1": metrics["macro_f1"],
                "answers_kept": same / len(places),
            }
        )
    bars = [at_least("answers of softmax attention kept through landmarks", rows[0]["answers_kept"], _KEPT)]
    show_table("A classifier's answers on whole documents", rows)
    show_table("Bars", bars)
    notes = {"documents": f"held-out licence texts of {exact_length + 1:,} to {longest:,} tokens", "model": str(model)}
    return Record("answers", f"python -m benchmarks answers --model {model}", rows, notes, bars)
