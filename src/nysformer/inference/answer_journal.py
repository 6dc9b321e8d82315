"""Finished rows of an unfinished run, in a journal that outlives it: a line of JSON per window of documents.

A line says how far the run had come, and holds a digest of all documents that it and those before it answer.
"""

import io
import json
import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from nysformer.errors import NysformerError
from nysformer.files.atomic import NamedFile, write_atomically, write_error
from nysformer.inference.unfinished import JOB, check_changed, digest_of

__all__ = ["JOURNAL", "Answers", "Journal"]

JOURNAL = "answers.jsonl"
"""The file of a work folder that holds finished rows."""

_MODEL = "model"
_WHOLE = "whole"


@dataclass(frozen=True, slots=True)
class Answers:
    """How far a run has come.

    Attributes:
        items: documents that are answered, unusable ones included.
        bad: of them, the unusable ones.
        tokens: of the documents that have a row.
        windows: of documents that were answered together.
        digest: of the documents, in their order.
    """

    items: int = 0
    bad: int = 0
    tokens: int = 0
    windows: int = 0
    digest: str = ""


class Journal:
    """Finished rows of one run, in a file and, since the end of the last window, in memory.

    Args:
        folder: the run's own, locked.
        output: what the user calls the file that the rows are for.

    Attributes:
        done: how far the run has come.
        stored: how much of that is on the disk.
        whole: where the output is made, before it is put in its place.
    """

    def __init__(self, folder: Path, output: str | Path) -> None:
        self.done = self.stored = Answers()
        self._folder, self._output = folder, output
        self.whole = folder / _WHOLE
        self._path = folder / JOURNAL
        self._file: io.BufferedWriter | None = None
        self._fresh: list[dict[str, Any]] = []

    def begin(self, job: dict[str, Any], *, overwrite: bool) -> None:
        """Find what an unfinished run left, or begin one.

        A last line that a kill or a full disk cut off is dropped: its documents are answered again.

        Args:
            job: what must be the same where a run goes on: the digest of its model and its settings.
            overwrite: discard what is left.

        Raises:
            NysformerError: the unfinished run has another model or other settings; a full disk.
        """
        before = None
        if not overwrite:
            with suppress(OSError, ValueError):
                before = json.loads((self._folder / JOB).read_bytes())
        if before is None:
            self.remove()
            with write_atomically(self._folder / JOB) as file:
                json.dump(job, file)
        else:
            if before.get(_MODEL) != job[_MODEL]:
                raise NysformerError(
                    f"{self._output}: the unfinished run was made with another model; give the same again, or start "
                    "over with overwrite=True"
                )
            check_changed(self._output, before, job)
        end = 0
        for length, state, _ in self._windows():
            end += length
            self.done = self.stored = state
        try:
            raw = NamedFile(self._path, "a", title=str(self._output))
            raw.truncate(end)
        except OSError as error:
            raise write_error(self._output, error) from error
        self._file = io.BufferedWriter(raw)

    def add(self, digest: str, row: dict[str, Any] | None, tokens: int = 0) -> None:
        """Take the next document.

        Args:
            digest: of the document.
            row: that answers it, as JSON holds it; None where the document is unusable.
            tokens: of the document.
        """
        done = self.done
        digest = digest_of(done.digest + digest)
        if row is None:
            self.done = replace(done, items=done.items + 1, bad=done.bad + 1, digest=digest)
        else:
            self._fresh.append(row)
            self.done = replace(done, items=done.items + 1, tokens=done.tokens + tokens, digest=digest)

    def end_window(self) -> None:
        """Write what was added since the last window: once this returns, a kill does not lose it.

        Raises:
            NysformerError: a full disk.
        """
        assert self._file is not None
        self.done = replace(self.done, windows=self.done.windows + 1)
        line = json.dumps({**asdict(self.done), "rows": self._fresh}, ensure_ascii=False)
        self._file.write(line.encode("utf-8", "backslashreplace") + b"\n")
        self._file.flush()
        self.stored = self.done
        self._fresh = []

    def rows(self) -> Iterator[dict[str, Any]]:
        """All rows that are on the disk, in the order of the documents."""
        for _, _, rows in self._windows():
            yield from rows

    def close(self) -> int:
        """Close the file, and remove a run that has finished nothing; the number of documents that are kept.

        What `begin` refused to go on with stays.
        """
        if self._file is not None and not self._file.closed:
            with suppress(OSError, NysformerError):
                os.fsync(self._file.fileno())
            with suppress(OSError, NysformerError):
                self._file.close()
            if not self.stored.items:
                self.remove()
        return self.stored.items

    def remove(self) -> None:
        """Remove the job and its rows."""
        if self._file is not None:
            self._file.close()
        for file in (self._folder / JOB, self._path, self.whole, *self._folder.glob(".*.part")):
            file.unlink(missing_ok=True)

    def _windows(self) -> Iterator[tuple[int, Answers, list[dict[str, Any]]]]:
        """The lines up to the first that is not whole: their lengths in bytes, and what they say."""
        if not self._path.exists():
            return
        with self._path.open("rb") as file:
            for line in file:
                try:
                    entry = json.loads(line)
                    state = Answers(**{each.name: entry[each.name] for each in fields(Answers)})
                    rows = entry["rows"]
                except (ValueError, TypeError, KeyError):
                    return
                if not line.endswith(b"\n"):
                    return
                yield len(line), state, rows
