"""Answers of a stream of documents in a file: streamed to disk, whole at the end, and resumed where a run was killed.

Until then finished rows lie in a journal, a line of JSON each, in a hidden folder beside the file.
"""

import json
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nysformer.data.given import given_records
from nysformer.data.records import RecordError
from nysformer.data.tables import TableFormat, plain, row_writer
from nysformer.errors import NysformerError
from nysformer.files.atomic import check_output, write_atomically
from nysformer.files.failures import write_failure
from nysformer.files.locks import lock_folder
from nysformer.inference.answers import AnswerRows
from nysformer.inference.predict import Given, Predictor
from nysformer.inference.unfinished import (
    JOB,
    check_unfinished,
    digest_of,
    kept_work,
    noted,
    read_over,
    work_folder,
)

__all__ = ["Answers", "answer_to_file"]

_JOURNAL = "answers.jsonl"


@dataclass(slots=True)
class Answers:
    """How far a run has come.

    Attributes:
        items: documents that are answered, unusable ones included.
        bad: of them, the unusable ones.
        digest: of the documents, in their order.
    """

    items: int = 0
    bad: int = 0
    digest: str = ""


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

    A run that is stopped, even killed, keeps every row that it has finished, in a hidden folder beside the file. A run
    that goes on must be given the same documents again; it reads over those that are answered.

    Args:
        predictor: of any task.
        documents: see `Predictor.predict`.
        output: the file; replaced if it exists.
        rows: how answers become rows.
        form: of the file.
        settings: what must be the same where a run goes on, beside the model, its reading and the rows' columns.
        resume: go on with an unfinished run, if there is one.
        overwrite: discard an unfinished run, if there is one.
        seen: is told each answer, in the order of the documents.
        resumed: is told how far the unfinished run had come.

    Returns:
        How far the run came, over all its parts.

    Raises:
        NysformerError: as `check_unfinished` and `Predictor.predict`; an unfinished run of other settings or documents;
            another process is writing the file; a full disk.
        Interrupted: in place of a `KeyboardInterrupt`, with how to go on.
    """
    place = check_output(output)
    check_unfinished(output, place, resume=resume, overwrite=overwrite)
    folder = work_folder(place)
    shape = rows.nested if form == "jsonl" else rows.flat
    try:
        with lock_folder(folder):
            journal = _Journal(folder, output)
            of_model = {
                "model": predictor.name,
                "files": _mark(Path(predictor.name)),
                "max_length": predictor.max_length,
                "reading": predictor.reading.strategy,
                "overlap": predictor.reading.overlap,
            }
            shown = {"format": form, "columns": list(rows.columns)}
            journal.begin(plain({**of_model, **shown, **settings}), anew=overwrite)
            if resumed is not None and journal.done.items:
                resumed(journal.done)
            with kept_work(output, journal.keep):
                records = given_records(documents, layouts=predictor.task.own_layouts)
                read_over(records, journal.done.items, journal.done.digest)
                digests: deque[str] = deque()
                for answer in predictor.predict(noted(records, digests)):
                    bad = isinstance(answer, RecordError)
                    journal.add(digests.popleft(), {"bad": str(answer)} if bad else {"row": plain(shape(answer))})
                    if seen is not None:
                        seen(answer)
                with (
                    write_atomically(place, binary=form == "parquet") as file,
                    row_writer(file, form, rows.columns) as write,
                ):
                    if form != "parquet":
                        file.reconfigure(errors="backslashreplace")  # bytes of a file name that are not UTF-8
                    for row in journal.rows():
                        write(row)
            journal.remove()
    finally:
        with suppress(OSError):  # an unfinished run stays
            folder.rmdir()
    return journal.done


class _Journal:
    """Finished rows of one run; a last line that a kill cut off is made again.

    Attributes:
        done: how far the run has come.
    """

    def __init__(self, folder: Path, output: str | Path) -> None:
        self.done = Answers()
        self._folder, self._output = folder, output
        self._path = folder / _JOURNAL
        self._file: Any = None

    def begin(self, settings: dict[str, Any], *, anew: bool) -> None:
        """Find what an unfinished run left, or begin one.

        Raises:
            NysformerError: the unfinished run has other settings.
        """
        job = self._folder / JOB
        before = None
        if not anew:
            with suppress(OSError, ValueError):
                before = json.loads(job.read_bytes())
        if before is None:
            self.remove()
            with write_atomically(job) as file:
                json.dump(settings, file)
        else:
            changed = next((name for name, value in settings.items() if before.get(name) != value), None)
            if changed is not None:
                raise NysformerError(
                    f"{self._output}: the unfinished run has {changed}={before.get(changed)!r}, not "
                    f"{settings[changed]!r}; give the same again, or start over with overwrite=True"
                )
        end = 0
        for line, entry in self._entries():
            end += len(line)
            self._count(entry)
        with _disk_errors(self._output):
            self._file = self._path.open("ab")
            self._file.truncate(end)

    def add(self, digest: str, entry: dict[str, Any]) -> None:
        """Take the next document's digest and what was answered."""
        entry["digest"] = digest_of(self.done.digest + digest)
        with _disk_errors(self._output):
            self._file.write(json.dumps(entry, ensure_ascii=False).encode("utf-8", "backslashreplace") + b"\n")
            self._file.flush()
        self._count(entry)

    def rows(self) -> Iterator[dict[str, Any]]:
        """All rows, in the order of the documents."""
        for _, entry in self._entries():
            if "row" in entry:
                yield entry["row"]

    def keep(self) -> int:
        """See that all is on the disk; the number of documents."""
        with suppress(OSError):
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
        if not self.done.items:
            self.remove()
        return self.done.items

    def remove(self) -> None:
        """Remove the job and its rows."""
        if self._file is not None:
            self._file.close()
        for file in (self._folder / JOB, self._path, *self._folder.glob(".*.part")):
            file.unlink(missing_ok=True)

    def _entries(self) -> Iterator[tuple[bytes, dict[str, Any]]]:
        """The lines up to the first that is not whole, and what they say."""
        if not self._path.exists():
            return
        with self._path.open("rb") as file:
            for line in file:
                try:
                    entry = json.loads(line)
                except ValueError:
                    return
                if not line.endswith(b"\n"):
                    return
                yield line, entry

    def _count(self, entry: dict[str, Any]) -> None:
        self.done.items += 1
        self.done.bad += "bad" in entry
        self.done.digest = entry["digest"]


@contextmanager
def _disk_errors(output: str | Path) -> Iterator[None]:
    """Make a full disk one line."""
    try:
        yield
    except OSError as error:
        raise NysformerError(f"{output}: cannot be written ({write_failure(error)}); free some space") from error


def _mark(folder: Path) -> list[list[Any]]:
    """By which a model's files are known again without reading them; none for a model that has no folder."""
    files = sorted(file for file in folder.glob("*") if file.suffix in (".json", ".safetensors", ".bin"))
    return [[file.name, file.stat().st_size, file.stat().st_mtime_ns] for file in files]
