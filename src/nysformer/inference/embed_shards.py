"""Finished vectors of an unfinished run, in shards that outlive it.

A shard says how many documents of the input it and those before it answer, and holds a digest of them, by which a
resumed run knows that it reads the same input.
"""

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from nysformer.data.records import RecordError
from nysformer.errors import NysformerError
from nysformer.files.atomic import write_atomically
from nysformer.inference.embed import Embedding
from nysformer.inference.unfinished import JOB, check_changed, digest_of
from nysformer.inference.vector_file import vector_table

__all__ = ["Progress", "Shards", "same_model"]

SHARD_SECONDS = 20.0
SHARD_BYTES = 64 * 2**20

_STATE = b"nysformer.progress"
_SAME_MODEL = 1e-3


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run has come.

    Attributes:
        items: documents of the input that are answered, unusable ones included.
        bad: of them, the unusable ones.
        tokens: of the documents that were embedded.
        vectors: that were made.
        digest: of the items, in their order.
    """

    items: int = 0
    bad: int = 0
    tokens: int = 0
    vectors: int = 0
    digest: str = ""


def same_model(one: Sequence[float], other: Sequence[float], tolerance: float = _SAME_MODEL) -> bool:
    """Whether two probes are of one model, by their difference relative to their length."""
    first, second = np.array(one), np.array(other)
    if first.shape != second.shape:
        return False
    return bool(np.linalg.norm(first - second) <= tolerance * max(np.linalg.norm(first), np.linalg.norm(second)))


class Shards:
    """Finished vectors of one run, in files of a folder and, since the last of them, in memory.

    Attributes:
        done: how far the run has come.
        stored: how much of that is on the disk.
    """

    def __init__(self, folder: Path, keep: Sequence[str], schema: Any, *, overwrite: bool) -> None:
        self._folder, self._keep, self._schema = folder, keep, schema
        self._fresh: list[Embedding] = []
        self._bytes = 0
        self._last = time.monotonic()
        self._files: list[Path] = []
        self.done = self.stored = Progress()
        if overwrite:
            self.remove()

    def begin(self, job: dict[str, Any], output: str | Path) -> None:
        """Find what an unfinished run left, or begin one.

        Raises:
            NysformerError: the unfinished run has other settings or another model.
        """
        file = self._folder / JOB
        try:
            before = json.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            self.remove()
            with write_atomically(file) as out:
                json.dump(job, out)
            return
        check_changed(output, before["settings"], job["settings"])
        if not same_model(before["probe"], job["probe"]):
            raise NysformerError(
                f"{output}: the unfinished run was made with another model or dtype; give the same again, or start "
                "over with overwrite=True"
            )
        self._find()

    def _find(self) -> None:
        """The shards up to the first that is missing or damaged; what follows is made again."""
        for file in sorted(self._folder.glob("*.parquet")):
            state = _read_state(file) if file == self._name(len(self._files)) else None
            if state is None:
                file.unlink()
                continue
            self._files.append(file)
            self.done = self.stored = state

    def _name(self, number: int) -> Path:
        return self._folder / f"{number:08}.parquet"

    def add(self, answer: Embedding | RecordError, digest: str) -> None:
        """Take the next answer and its document's digest."""
        done = self.done
        done = replace(done, items=done.items + 1, digest=digest_of(done.digest + digest))
        if isinstance(answer, RecordError):
            done = replace(done, bad=done.bad + 1)
        else:
            self._fresh.append(answer)
            self._bytes += answer.vectors.nbytes
            done = replace(done, tokens=done.tokens + answer.length, vectors=done.vectors + len(answer.vectors))
        self.done = done
        if self._bytes >= SHARD_BYTES:
            self.flush()

    def flush_if_due(self) -> None:
        """Write what is in memory to a shard if the last one was long ago."""
        if time.monotonic() - self._last >= SHARD_SECONDS:
            self.flush()

    def flush(self) -> None:
        """Write what is in memory to a shard."""
        from pyarrow.parquet import write_table

        if self.done != self.stored:
            file = self._name(len(self._files))
            table = vector_table(self._fresh, self._keep, self._schema)
            with write_atomically(file, binary=True) as out:
                write_table(table.replace_schema_metadata({_STATE: json.dumps(asdict(self.done))}), out)
            self._files.append(file)
            self.stored = self.done
        self._fresh, self._bytes, self._last = [], 0, time.monotonic()

    def tables(self) -> Iterator[Any]:
        """The rows of all shards."""
        from pyarrow.parquet import read_table

        for file in self._files:
            yield read_table(file).replace_schema_metadata(None)

    def remove(self) -> None:
        """Remove the job and its shards."""
        for file in (self._folder / JOB, *self._folder.glob("*.parquet"), *self._folder.glob(".*.part")):
            file.unlink(missing_ok=True)


def _read_state(file: Path) -> Progress | None:
    from pyarrow import ArrowException
    from pyarrow.parquet import read_schema

    try:
        return Progress(**json.loads(read_schema(file).metadata[_STATE]))
    except (ArrowException, OSError, KeyError, TypeError, ValueError):
        return None
