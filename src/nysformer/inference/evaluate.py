"""How good a model folder is on labelled documents."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch

from nysformer.data.documents import load_documents
from nysformer.data.stream import Record, RecordError
from nysformer.data.tables import Columns
from nysformer.data.tokens import encode_labels
from nysformer.errors import NysformerError
from nysformer.inference.metrics import classification_metrics
from nysformer.inference.precision import Precision
from nysformer.inference.predict import MOSTLY_UNKNOWN, TOKENS_PER_BATCH, Predictor, Scored

__all__ = ["MISTAKE_COLUMNS", "evaluate"]

MISTAKE_COLUMNS: Columns = {
    "source": "text",
    "line": "whole",
    "label": "text",
    "predicted": "text",
    "probability": "number",
    "length": "whole",
}
"""What is told of a document that is answered wrongly: its place, its label, the answer and the probability of that, and
its length in tokens before any cut."""


def evaluate(
    model_dir: str | Path,
    sources: Sequence[str | Path],
    *,
    text_column: str = "text",
    label_column: str = "label",
    max_length: int | None = None,
    tokens_per_batch: int = TOKENS_PER_BATCH,
    dtype: Precision = "float32",
    device: str | None = None,
    on_progress: Callable[[int, int], None] | None = None,
    on_mistake: Callable[[dict[str, Any]], None] | None = None,
) -> dict[str, Any]:
    """Measure a single-label classifier on documents with known labels.

    Args:
        model_dir: a model folder, see `Predictor.from_pretrained`.
        sources: files or folders, see `load_documents`.
        text_column, label_column: where text and label stand.
        max_length, tokens_per_batch, dtype, device: see `Predictor.from_pretrained`.
        on_progress: called with the number of documents done and of all of them, after each.
        on_mistake: called for each document that is answered wrongly, in their order, with a row of `MISTAKE_COLUMNS`.

    Returns:
        What `classification_metrics` returns, and `truncated`, the number of documents that were cut to `max_length`
        (also there), `mostly_unknown`, with the number of `documents` of which more than half the tokens are unknown to
        the tokenizer and the place of the `first` of them (or None), and the `model` and the `sources`, as given.
        Lengths are in tokens, before the cut.

    Raises:
        NysformerError: as `Predictor.from_pretrained` and `load_documents`; a label the model does not know; a model
            for regression or several labels.

    Example:
        >>> evaluate("runs/demo", ["test.jsonl"])["macro_f1"]  # doctest: +SKIP
        0.66
    """
    predictor = Predictor.from_pretrained(
        model_dir, max_length=max_length, tokens_per_batch=tokens_per_batch, dtype=dtype, device=device
    )
    if predictor.problem_type != "single_label_classification":
        raise NysformerError(
            f"{model_dir}: the model's problem type is {predictor.problem_type}; only single-label classifiers can be "
            "evaluated"
        )
    documents = load_documents(sources, text_column=text_column, label_column=label_column)
    documents = encode_labels(documents, predictor.labels)

    def texts() -> Iterator[Record]:
        for row in documents:
            yield Record(row["text"], row["source"])

    targets = list(documents["labels"])
    logits: list[torch.Tensor] = []
    lengths: list[int] = []
    truncated, unknown, first_unknown = 0, 0, None
    for scored in predictor.score(texts()):
        if isinstance(scored, RecordError):
            raise NysformerError(f"{scored}; fix or remove it")
        truth = targets[len(lengths)]
        logits.append(scored.logits)
        lengths.append(scored.length)
        truncated += scored.truncated
        if scored.unknown > MOSTLY_UNKNOWN:
            unknown += 1
            first_unknown = first_unknown or scored.document.source
        if on_mistake is not None and int(scored.logits.argmax()) != truth:
            on_mistake(_mistake(scored, predictor.labels, truth))
        if on_progress is not None:
            on_progress(len(lengths), len(documents))
    return {
        "model": str(model_dir),
        "sources": [str(source) for source in sources],
        "max_length": predictor.max_length,
        "truncated": truncated,
        "mostly_unknown": {"documents": unknown, "first": first_unknown},
        **classification_metrics(
            torch.stack(logits), torch.tensor(targets, dtype=torch.int64), lengths, predictor.labels
        ),
    }


def _mistake(scored: Scored, labels: Sequence[str], truth: int) -> dict[str, Any]:
    shares = scored.logits.softmax(dim=-1)
    best = int(scored.logits.argmax())
    return {
        "source": scored.document.source,
        "line": scored.document.line,
        "label": labels[truth],
        "predicted": labels[best],
        "probability": round(float(shares[best]), 6),
        "length": scored.length,
    }
