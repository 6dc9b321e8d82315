"""How good a model folder is on labelled documents."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import torch

from nysformer.data.documents import load_documents
from nysformer.data.reader import ReadLog, ReadOptions
from nysformer.data.records import Record, RecordError
from nysformer.data.tables import Columns
from nysformer.data.tokens import encode_labels
from nysformer.errors import NysformerError
from nysformer.inference.metrics import classification_metrics
from nysformer.inference.predict import MOSTLY_UNKNOWN, TOKENS_PER_BATCH, Predictor
from nysformer.inference.prediction import Scored
from nysformer.runtime.precision import Precision

__all__ = ["MISTAKE_COLUMNS", "evaluate"]

MISTAKE_COLUMNS: Columns = {
    "source": "text",
    "line": "whole",
    "label": "text",
    "predicted": "text",
    "probability": "number",
    "length": "whole",
}
"""What is told of a document that is answered wrongly: its place, its label, the answer and its probability, and its
length in tokens before any cut."""


def evaluate(
    model_dir: str | Path,
    sources: Sequence[str | Path],
    *,
    text_column: str = "text",
    label_column: str = "label",
    delimiter: str | None = None,
    encoding: str | None = None,
    label_from: Literal["top", "parent"] = "top",
    all_files: bool = False,
    log: ReadLog | None = None,
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
        delimiter, encoding, label_from, all_files: how files are read, see `nysformer.data.reader.ReadOptions`.
        log: is told what was read, skipped and normalized.
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
    reading = ReadOptions(
        text_column=text_column,
        label_column=label_column,
        delimiter=delimiter,
        encoding=encoding,
        label_from=label_from,
        all_files=all_files,
    )
    documents = load_documents(sources, reading, log=log)
    documents = encode_labels(documents, predictor.labels)

    def texts() -> Iterator[Record]:
        for row in documents:
            yield Record(row["text"], row["source"])

    labels = list(documents["labels"])
    logits: list[torch.Tensor] = []
    lengths: list[int] = []
    truncated, unknown, first_unknown = 0, 0, None
    for scored in predictor.score(texts()):
        if isinstance(scored, RecordError):
            raise NysformerError(f"{scored}; fix or remove it")
        truth = labels[len(lengths)]
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
    targets = torch.tensor(labels, dtype=torch.int64)
    return {
        "model": str(model_dir),
        "sources": [str(source) for source in sources],
        "max_length": predictor.max_length,
        "truncated": truncated,
        "mostly_unknown": {"documents": unknown, "first": first_unknown},
        **classification_metrics(torch.stack(logits), targets, lengths, predictor.labels),
    }


def _mistake(scored: Scored, labels: Sequence[str], truth: int) -> dict[str, Any]:
    shares = scored.logits.softmax(dim=-1)
    best = int(scored.logits.argmax())
    source, line = _place(scored.document.source)
    return {
        "source": source,
        "line": line,
        "label": labels[truth],
        "predicted": labels[best],
        "probability": round(float(shares[best]), 6),
        "length": scored.length,
    }


def _place(source: str) -> tuple[str, int | None]:
    """The file and the line out of what `load_documents` calls a document's source."""
    file, _, line = source.rpartition(":")
    if file and line.isdecimal() and not Path(source).exists():
        return file, int(line)
    return source, None
