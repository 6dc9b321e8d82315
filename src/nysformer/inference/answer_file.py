"""Answers of a stream of documents in a file: streamed to disk, whole at the end, and resumed where a run was killed.

Until then finished rows lie in a journal, in a hidden folder beside the file.
"""

import hashlib
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from nysformer.checkpoints.adapters import adapter_base, is_adapter
from nysformer.data.given import given_records
from nysformer.data.records import Item, RecordError
from nysformer.data.tables import TableFormat, plain, row_writer
from nysformer.files.atomic import check_output, write_atomically, write_error
from nysformer.inference.answer_journal import Answers, Journal
from nysformer.inference.answers import AnswerRows
from nysformer.inference.predict import Answered, Given, Predictor
from nysformer.inference.unfinished import check_unfinished, kept_work, locked_work, noted, read_over

__all__ = ["answer_to_file", "written_rows"]

_MODEL_FILES = (".json", ".safetensors", ".bin", ".txt", ".model")
_CHUNK = 2**20


def answer_to_file(
    predictor: Predictor,
    documents: Iterable[Given],
    output: str | Path,
    rows: AnswerRows,
    form: TableFormat,
    *,
    settings: dict[str, Any],
    resume: bool = False,
    overwrite: bool = False,
    seen: Callable[[Any], None] | None = None,
    resumed: Callable[[Answers], None] | None = None,
) -> Answers:
    """Answer documents as they come, and write a row for each to one file, which appears whole or not at all.

    A run that is stopped, even killed, keeps every window of documents that it has answered, in a hidden folder beside
    the file. A run that goes on must be given the same documents again; it reads over those that are answered, and
    writes what a run without a stop would have written. A named pipe or a device is written directly, and cannot be
    resumed.

    Args:
        predictor: of any task. A run may go on with other `tokens_per_batch`, and on another device; the last digits of
            its numbers may then differ.
        documents: see `Predictor.predict`.
        output: the file.
        rows: how answers become rows.
        form: of the file.
        settings: what must be the same where a run goes on, beside the model and its reading.
        resume: go on with an unfinished run, if there is one.
        overwrite: discard an unfinished run, and replace the file, if there is one.
        seen: is told each answer, in the order of the documents, once its row is kept.
        resumed: is told how far the unfinished run had come.

    Returns:
        How far the run came, over all its parts.

    Raises:
        NysformerError: as `check_unfinished` and `Predictor.predict`; an unfinished run of another model, of other
            settings or documents; another process is writing the file; a full disk.
        Interrupted: in place of a `KeyboardInterrupt`, with how to go on.
    """
    place = check_output(output)
    check_unfinished(output, place, resume=resume, overwrite=overwrite)
    if place.exists() and not place.is_file():
        return _to_device(predictor, documents, place, rows, form, seen)
    job = {
        "model": _model_digest(predictor.name),
        "max_length": predictor.max_length,
        "reading": predictor.reading.strategy,
        "overlap": predictor.reading.overlap,
        "format": form,
        **settings,
    }
    with (
        locked_work(output, place, resume=resume, overwrite=overwrite) as folder,
        closing(Journal(folder, output)) as kept,
    ):
        kept.begin(plain(job), overwrite=overwrite)
        with kept_work(output, kept.close):
            records = given_records(documents, layouts=predictor.task.own_layouts)
            read_over(output, records, kept.done.items, kept.done.digest)
            if resumed is not None and kept.done.items:
                resumed(kept.done)
            for window in _windows(predictor, records, kept, rows, form):
                if seen is not None:
                    for answer in window:
                        seen(answer)
            _write(kept.rows(), kept.whole, rows, form)
            try:
                os.replace(kept.whole, place)
            except OSError as error:
                raise write_error(output, error) from error
        kept.remove()
        return kept.done


def _windows(
    predictor: Predictor, records: Iterator[Item], journal: Journal, rows: AnswerRows, form: TableFormat
) -> Iterator[list[Any]]:
    """The answers that were made together, once their rows are in the journal."""
    shape = rows.nested if form == "jsonl" else rows.flat
    digests: deque[str] = deque()
    window: list[Any] = []
    for item in predictor.answered(noted(records, digests), windows_before=journal.done.windows):
        answer = item.answer if isinstance(item, Answered) else item
        if isinstance(answer, RecordError):
            journal.add(digests.popleft(), None)
        else:
            journal.add(digests.popleft(), plain(shape(answer)), answer.length)
        window.append(answer)
        if not digests:
            journal.end_window()
            yield window
            window = []


@contextmanager
def written_rows(file: Any, form: TableFormat, rows: AnswerRows) -> Iterator[Callable[[Any], None]]:
    """Give a function that writes a row for an answer, and nothing for a `RecordError`; see `row_writer`."""
    shape = rows.nested if form == "jsonl" else rows.flat
    with row_writer(file, form, rows.columns) as write:
        yield lambda answer: None if isinstance(answer, RecordError) else write(shape(answer))


def _write(rows: Iterable[dict[str, Any]], place: Path, shaped: AnswerRows, form: TableFormat) -> None:
    """Write a file in the work folder, so that nothing is left elsewhere where a kill cuts this off."""
    with (
        write_atomically(place, binary=form == "parquet") as file,
        row_writer(file, form, shaped.columns) as write,
    ):
        if form != "parquet":
            file.reconfigure(errors="backslashreplace")  # bytes of a file name that are not UTF-8
        for row in rows:
            write(row)


def _to_device(
    predictor: Predictor,
    documents: Iterable[Given],
    place: Path,
    rows: AnswerRows,
    form: TableFormat,
    seen: Callable[[Any], None] | None,
) -> Answers:
    items = bad = tokens = 0
    with write_atomically(place, binary=form == "parquet") as file:
        if form != "parquet":
            file.reconfigure(errors="backslashreplace")
        with written_rows(file, form, rows) as write:
            for answer in predictor.predict(documents):
                write(answer)
                items += 1
                bad += isinstance(answer, RecordError)
                tokens += getattr(answer, "length", 0)
                if seen is not None:
                    seen(answer)
    return Answers(items, bad, tokens)


def _model_digest(name: str) -> str:
    """By which a model is known again, also in a copy of its folder; of a model that has no folder, its name's."""
    digest = hashlib.sha256(ascii(name).encode() if not Path(name).is_dir() else b"")
    folders = [Path(name)] + ([Path(adapter_base(name))] if is_adapter(name) else [])
    for folder in folders:
        for path in sorted(file for file in folder.glob("*") if file.suffix in _MODEL_FILES and file.is_file()):
            digest.update(f"{path.name}\0{path.stat().st_size}\0".encode("utf-8", "surrogateescape"))
            with path.open("rb") as file:
                while chunk := file.read(_CHUNK):
                    digest.update(chunk)
    return digest.hexdigest()
