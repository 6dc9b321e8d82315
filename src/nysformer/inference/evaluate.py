"""How good a model folder is on labelled documents."""

from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import Any

from nysformer.data.documents import Documents, load_documents
from nysformer.data.reader import Data, ReadLog, ReadOptions
from nysformer.data.records import RecordError
from nysformer.data.tables import Columns
from nysformer.errors import NysformerError
from nysformer.inference.predict import MOSTLY_UNKNOWN, Predictor
from nysformer.tasks.base import Task
from nysformer.tasks.fitting import naming_fitting_tasks
from nysformer.tasks.reading import STRATEGIES

__all__ = ["compare_readings", "evaluate", "mistake_columns"]


def mistake_columns(task: Task[Any, Any]) -> Columns:
    """What is told of a document that is answered wrongly: its place, the task's columns, its length before any cut."""
    return {"source": "text", "line": "whole", **task.mistake_columns, "length": "whole"}


def evaluate(
    model: str | Path | Predictor,
    data: Data,
    *,
    read: ReadOptions | None = None,
    log: ReadLog | None = None,
    on_progress: Callable[[int, int], None] | None = None,
    on_mistake: Callable[[dict[str, Any]], None] | None = None,
    **settings: Any,
) -> dict[str, Any]:
    """Measure a model on labelled documents, by the metrics of its task.

    Args:
        model: a model folder, or a `Predictor` of one.
        data: files and folders; or rows: mappings, a pandas DataFrame, a dataset (see `nysformer.data.memory.Data`).
        read: the names of columns, and how files are read; None for the defaults.
        log: is told what was read, skipped and normalized.
        on_progress: called with the number of documents done and of all of them, after each.
        on_mistake: called for each document that is answered wrongly, in their order, with a row of `mistake_columns`.
        settings: without `read`, fields of `ReadOptions`, such as text_column and label_column; where `model` is a
            folder, of `Predictor.from_pretrained`: max_length, reading, overlap, tokens_per_batch, dtype, device.

    Returns:
        What the task's measure gives (see `nysformer.tasks.base.Task.metrics`), such as `accuracy` and `macro_f1`, and
        `truncated`, the number of documents of which something was not read, `max_length`, the `reading`,
        `mostly_unknown`, with the number of `documents` of which more than half the tokens are unknown to the tokenizer
        and the place of the `first` of them (or None), the `task`, the `model` and the `sources`, as given. Lengths are
        in tokens, before the cut.

    Raises:
        NysformerError: as `Predictor.from_pretrained` and `load_documents`; a label the model does not know.

    Example:
        >>> evaluate("runs/demo", ["test.jsonl"])["macro_f1"]  # doctest: +SKIP
        0.66
    """
    of_reading = {name: settings.pop(name) for name in list(settings) if name in ReadOptions.__dataclass_fields__}
    if of_reading and read is not None:
        raise NysformerError(f"read: {', '.join(of_reading)} stand beside it; say it there")
    read = read or ReadOptions(**of_reading)
    if isinstance(model, Predictor):
        if settings:
            raise NysformerError(f"{', '.join(settings)}: the predictor is loaded already; say it where it is")
        predictor = model
    else:
        predictor = Predictor.from_pretrained(model, **settings)
    documents = _labelled(predictor, data, read, log)
    return {
        "model": predictor.name if isinstance(model, Predictor) else str(model),
        "sources": _named(data),
        **_measured(predictor, documents, on_progress, on_mistake),
    }


def compare_readings(
    model: Predictor,
    data: Data,
    *,
    read: ReadOptions | None = None,
    log: ReadLog | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> dict[str, dict[str, Any]]:
    """Measure one model by each way of reading documents longer than its `max_length`.

    Args:
        model, data, read, log, on_progress: as in `evaluate`.

    Returns:
        Strategy -> what `evaluate` measures, and `documents_per_second`, tokenizing included.

    Raises:
        NysformerError: as `evaluate`.
    """
    documents = _labelled(model, data, read, log)
    found: dict[str, dict[str, Any]] = {}
    for number, strategy in enumerate(STRATEGIES):

        def progress(done: int, total: int, before: int = number) -> None:
            if on_progress is not None:
                on_progress(before * total + done, len(STRATEGIES) * total)

        began = perf_counter()
        measured = _measured(model.reading_as(strategy), documents, progress, None)
        found[strategy] = measured | {"documents_per_second": len(documents) / (perf_counter() - began)}
    return found


def _labelled(predictor: Predictor, data: Data, read: ReadOptions | None, log: ReadLog | None) -> Documents:
    task = predictor.task
    with naming_fitting_tasks(task.name, read, "give a model of {}"):
        documents = load_documents(data, read, task.own_layouts, labelled=True, log=log)
    for record in documents:
        task.categories(record)  # an unknown label is an error before the work, not after an hour of it
    return documents


def _measured(
    predictor: Predictor,
    documents: Documents,
    on_progress: Callable[[int, int], None] | None,
    on_mistake: Callable[[dict[str, Any]], None] | None,
) -> dict[str, Any]:
    task = predictor.task
    measure = task.measure()
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
        "task": task.name,
        "max_length": predictor.max_length,
        "reading": predictor.reading.strategy,
        "truncated": truncated,
        "mostly_unknown": {"documents": unknown, "first": first_unknown},
        **measure.result(),
    }


def _named(data: Data) -> list[str]:
    """What `run.json` and metrics call the documents."""
    if isinstance(data, str | Path):
        return [str(data)]
    if isinstance(data, list | tuple) and all(isinstance(source, str | Path) for source in data):
        return [str(source) for source in data]
    return [type(data).__name__]
