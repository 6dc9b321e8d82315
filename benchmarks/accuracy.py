"""What low precision costs in accuracy: the demo's model on the demo's test documents."""

from __future__ import annotations

from operator import ne
from pathlib import Path
from time import perf_counter
from typing import Any

from benchmarks.bars import at_most
from benchmarks.record import Record, show_table
from nysformer.data import records
from nysformer.data.documents import load_documents
from nysformer.errors import NysformerError
from nysformer.inference.predict import Predictor
from nysformer.layers.fused import can_quantize
from nysformer.runtime.precision import Precision

__all__ = ["measure_accuracy"]

_POINTS = 0.5


def measure_accuracy(model: Path = Path("runs/demo")) -> Record:
    """Classify the demo's test documents with its model in float32, bfloat16 and int8, as `nysformer predict` does.

    Args:
        model: the demo's folder, with the corpus in it.

    Raises:
        NysformerError: there is none.
    """
    test = model / "corpus" / "test.jsonl"
    if not test.is_file() or not (model / "config.json").is_file():
        raise NysformerError(f"{model}: no demo there; run `make demo` first, or name its folder: --model")
    precisions: list[Precision] = ["float32", "bfloat16"]
    if can_quantize():
        precisions.append("int8")
    rows: list[dict[str, Any]] = []
    answers: dict[str, list[str]] = {}
    for name in precisions:
        predictor = Predictor.from_pretrained(model, dtype=name, device="cpu")
        started = perf_counter()
        metrics, answers[name] = _measured(predictor, load_documents([test], labelled=True))
        seconds = perf_counter() - started
        rows.append(
            {
                "precision": name,
                "accuracy": metrics["accuracy"],
                "macro_f1": metrics["macro_f1"],
                "points_to_float32": 100 * (metrics["accuracy"] - rows[0]["accuracy"]) if rows else 0.0,
                "other_answers": sum(map(ne, answers[name], answers["float32"])),
                "documents": metrics["documents"],
                "documents_a_second": metrics["documents"] / seconds,
            }
        )
    bars = [
        at_most(f"{row['precision']}, points of accuracy from float32", abs(row["points_to_float32"]), _POINTS)
        for row in rows[1:]
    ]
    show_table("The demo's model on its test documents", rows)
    show_table("Bars", bars)
    notes = {
        "documents_a_second": "one pass, tokenizing included; for comparison of speed see the benchmark `corpus`",
        "other_answers": "documents that are classified otherwise than in float32",
    }
    return Record("accuracy", "python -m benchmarks accuracy", rows, notes, bars)


def _measured(predictor: Predictor, documents: Any) -> tuple[dict[str, Any], list[str]]:
    """The metrics, and the label that each document got."""
    measure, answers = predictor.task.measure(), []
    for item in predictor.answered(documents, labelled=True):
        if isinstance(item, records.RecordError):
            raise NysformerError(f"{item}; run `make demo` again")
        measure.add(item.record, item.encoding, item.outputs, item.answer)
        answers.append(item.answer.label)
    return measure.result(), answers
