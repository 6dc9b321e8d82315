"""Embed a stream of documents into a file: streamed to disk, whole at the end, and resumed where it was killed.

Finished vectors lie in shards in a hidden folder beside the file. Each shard says how many documents of the input it
and those before it answer, and holds a digest of them, by which a resumed run knows that it reads the same input.
"""

import hashlib
import json
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from nysformer.data.given import Given, given_records
from nysformer.data.records import Record, RecordError, Waiting
from nysformer.data.tables import plain
from nysformer.errors import Interrupted, NysformerError
from nysformer.files.atomic import check_output, write_atomically
from nysformer.files.locks import lock_folder
from nysformer.inference.embed import Embedder, Embedding
from nysformer.inference.vector_file import (
    check_vector_format,
    places_beside,
    vector_schema,
    vector_table,
    write_vectors,
)

__all__ = ["Progress", "check_unfinished", "embed_to_file", "probe", "same_model"]

SHARD_SECONDS = 20.0
SHARD_BYTES = 64 * 2**20

_JOB = "job.json"
_STATE = b"nysformer.progress"
_PROBE = "The quick brown fox jumps over 42 lazy dogs; caf\N{LATIN SMALL LETTER E WITH ACUTE}."
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


def check_unfinished(output: str | Path, *, resume: bool, overwrite: bool) -> None:
    """Check, before a model is loaded, that a run may write to `output`.

    Raises:
        NysformerError: a file that cannot be written; an unfinished run, and neither `resume` nor `overwrite`, or both.
    """
    check_vector_format(output)
    place = check_output(output)
    if place.suffix.lower() == ".npy":
        check_output(places_beside(place))
    if resume and overwrite:
        raise NysformerError("resume=True and overwrite=True: choose one")
    if not (resume or overwrite) and (_work_folder(place) / _JOB).exists():
        raise NysformerError(
            f"{output}: an unfinished run lies beside it; go on with resume=True, or start over with overwrite=True"
        )


def embed_to_file(
    embedder: Embedder,
    documents: Iterable[str | Given],
    output: str | Path,
    *,
    keep: Sequence[str] = (),
    resume: bool = False,
    overwrite: bool = False,
    seen: Callable[[Embedding | RecordError], None] | None = None,
    resumed: Callable[[Progress], None] | None = None,
) -> Progress:
    """Embed documents as they come, and write vectors and places to one file, which appears whole or not at all.

    A run that is stopped, even killed, keeps what it finished: every 20 seconds or 64 MiB go to a hidden folder beside
    the file. A run that goes on must be given the same documents again; it reads over those that are answered.

    Args:
        embedder: see `Embedder`. A run may go on with other `tokens_per_batch`, and on another device.
        documents: texts, or the items of a reader.
        output: ends in .parquet, or in .npy, whose places go to a Parquet file beside it. Replaced if it exists.
        keep: names of `Record.columns` to carry through, as text.
        resume: go on with an unfinished run, if there is one.
        overwrite: discard an unfinished run, if there is one.
        seen: is told each answer, in the order of the documents.
        resumed: is told how far the unfinished run had come.

    Returns:
        How far the run came, over all its parts.

    Raises:
        NysformerError: as `check_unfinished` and `Embedder.embed`; an unfinished run of other settings, another model
            or other documents; another process is writing the file.
        Interrupted: in place of a `KeyboardInterrupt`, with how to go on.
    """
    check_unfinished(output, resume=resume, overwrite=overwrite)
    place = check_output(output)
    folder = _work_folder(place)
    job = {
        "settings": {
            "pooling": embedder.pooling,
            "passages": embedder.passages,
            "normalize": embedder.normalize,
            "max_length": embedder.max_length,
            "overlap": embedder.reading.overlap,
            "keep": list(keep),
        },
        "dimension": embedder.dimension,
        "probe": probe(embedder),
    }
    schema = vector_schema(embedder.dimension, keep, passages=embedder.passages != "none")
    try:
        with lock_folder(folder):
            shards = _Shards(folder, keep, schema, overwrite=overwrite)
            shards.begin(job, output)
            if resumed is not None and shards.done.items:
                resumed(shards.done)
            with _saying_how_to_go_on(output, shards):
                _embed_all(embedder, given_records(documents), shards, seen)
                done = shards.done
                about = {**job, **asdict(done), "id": _digest(json.dumps([job, asdict(done)]))}
                write_vectors(Path(output), shards.tables(), schema, done.vectors, about)
            shards.remove()
    finally:
        with suppress(OSError):  # an unfinished run stays
            folder.rmdir()
    return done


def probe(embedder: Embedder) -> list[float]:
    """A vector by which a model is known again, from another folder and in another precision."""
    return [round(value, 6) for value in embedder.vectors([_PROBE])[0].tolist()]


def same_model(one: Sequence[float], other: Sequence[float], tolerance: float = _SAME_MODEL) -> bool:
    """Whether two probes are of one model, by their difference relative to their length."""
    first, second = np.array(one), np.array(other)
    if first.shape != second.shape:
        return False
    return bool(np.linalg.norm(first - second) <= tolerance * max(np.linalg.norm(first), np.linalg.norm(second)))


def _embed_all(
    embedder: Embedder,
    records: Iterator[Given],
    shards: "_Shards",
    seen: Callable[[Embedding | RecordError], None] | None,
) -> None:
    _read_over(records, shards.done)
    digests: deque[str] = deque()

    def noted() -> Iterator[Given]:
        for item in records:
            if not isinstance(item, Waiting):
                digests.append(_item_digest(item))
            yield item

    for answer in embedder.embed(noted()):
        shards.add(answer, digests.popleft())
        if not digests:  # the end of what was embedded together
            shards.flush_if_due()
        if seen is not None:
            seen(answer)
    shards.flush()


def _read_over(records: Iterator[Given], done: Progress) -> None:
    """Read over the documents that are answered.

    Raises:
        NysformerError: they are others.
    """
    digest = ""
    for _ in range(done.items):
        item = next((item for item in records if not isinstance(item, Waiting)), None)
        if item is None:
            break
        digest = _digest(digest + _item_digest(item))
    if digest != done.digest:
        raise NysformerError(
            f"the first {done.items:,} documents are not those of the unfinished run; give the same input again, or "
            "start over with overwrite=True"
        )


def _item_digest(item: Record | RecordError) -> str:
    columns = plain(item.columns) if isinstance(item, Record) else None
    text = item.text if isinstance(item, Record) else None
    return _digest(json.dumps([item.source, item.line, text, columns]))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _work_folder(place: Path) -> Path:
    return place.with_name(f".{place.name[:60]}.unfinished")


class _Shards:
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
        file = self._folder / _JOB
        try:
            before = json.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            self.remove()
            with write_atomically(file) as out:
                json.dump(job, out)
            return
        for name, value in job["settings"].items():
            if before["settings"].get(name) != value:
                raise NysformerError(
                    f"{output}: the unfinished run has {name}={before['settings'].get(name)!r}, not {value!r}; give "
                    "the same again, or start over with overwrite=True"
                )
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
        done = replace(done, items=done.items + 1, digest=_digest(done.digest + digest))
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
        for file in (self._folder / _JOB, *self._folder.glob("*.parquet"), *self._folder.glob(".*.part")):
            file.unlink(missing_ok=True)


def _read_state(file: Path) -> Progress | None:
    from pyarrow import ArrowException
    from pyarrow.parquet import read_schema

    try:
        return Progress(**json.loads(read_schema(file).metadata[_STATE]))
    except (ArrowException, OSError, KeyError, TypeError, ValueError):
        return None


@contextmanager
def _saying_how_to_go_on(output: str | Path, shards: _Shards) -> Iterator[None]:
    """Keep what is finished where the block fails, and say so."""
    try:
        yield
    except KeyboardInterrupt as error:
        raise Interrupted(f"{output}: interrupted; {_kept(shards)}") from error
    except NysformerError as error:
        if "overwrite=True" in str(error):
            raise
        raise NysformerError(f"{error}; {_kept(shards)}") from error


def _kept(shards: _Shards) -> str:
    with suppress(NysformerError):  # such as a full disk
        shards.flush()
    if not shards.stored.items:
        shards.remove()
        return "nothing was finished: start it again"
    return f"{shards.stored.items:,} documents are kept: go on with resume=True"
