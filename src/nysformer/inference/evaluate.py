"""How good a model folder is on labelled documents."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

from nysformer.data.documents import load_documents
from nysformer.data.reader import ReadLog, ReadOptions
from nysformer.data.records import RecordError
from nysformer.data.tables import Columns
from nysformer.errors import NysformerError
from nysformer.inference.predict import MOSTLY_UNKNOWN, TOKENS_PER_BATCH, Predictor
from nysformer.runtime.precision import Precision
from nysformer.tasks.base import Measure, Task
from nysformer.tasks.labels import SINGLE_LABEL
from nysformer.tasks.sequence_classification import SequenceClassification

__all__ = ["evaluate", "mistake_columns"]


def mistake_columns(task: Task[Any, Any]) -> Columns:
    """What is told of a document that is answered wrongly: its place, the task's columns, its length before any cut."""
    return {"source": "text", "line": "whole", **task.mistake_columns, "length": "whole"}


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
        on_mistake: called for each document that is answered wrongly, in their order, with a row of `mistake_columns`.

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
    task: Task[Any, Any] = predictor.task
    if not isinstance(task, SequenceClassification):
        raise NysformerError(f"{model_dir}: a model for {task.name}; only sequence classifiers can be evaluated")
    if task.problem_type != SINGLE_LABEL:
        raise NysformerError(
            f"{model_dir}: the model's problem type is {task.problem_type}; only single-label classifiers can be "
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
    documents = load_documents(sources, reading, task.own_layouts, labelled=True, log=log)
    for record in documents:
        task.categories(record)  # an unknown label is an error before the work, not after an hour of it
    measure: Measure = task.measure()
    truncated, unknown, first_unknown = 0, 0, None
    for done, item in enumerate(predictor.answered(documents, labelled=True), start=1):
        if isinstance(item, RecordError):
            raise NysformerError(f"{item}; fix or remove it")
        record, answer = item.record, item.answer
        measure.add(record, item.encoding, item.outputs, answer)
        truncated += answer.truncated
        if answer.unknown > MOSTLY_UNKNOWN:
            unknown += 1
            first_unknown = first_unknown or record.place
        if on_mistake is not None and (mistake := task.mistake(record, answer)) is not None:
            on_mistake({"source": record.source, "line": record.line, **mistake, "length": answer.length})
        if on_progress is not None:
            on_progress(done, len(documents))
    return {
        "model": str(model_dir),
        "sources": [str(source) for source in sources],
        "max_length": predictor.max_length,
        "truncated": truncated,
        "mostly_unknown": {"documents": unknown, "first": first_unknown},
        **measure.result(),
    }
