"""Runs over a stream of documents that outlive a kill: what is finished lies beside the output until that is whole.

A run that goes on is given the same documents again. It reads over those that are answered, and knows them by a digest
of all of them in their order.
"""

import hashlib
import json
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from nysformer.data.records import Item, Record, RecordError, Waiting
from nysformer.data.tables import plain
from nysformer.errors import Interrupted, NysformerError
from nysformer.files.locks import lock_folder

__all__ = [
    "JOB",
    "check_changed",
    "check_unfinished",
    "digest_of",
    "item_digest",
    "kept_work",
    "locked_work",
    "noted",
    "read_over",
    "work_folder",
]

JOB = "job.json"
"""The file of a work folder that says what its run does."""

_LONGEST_NAME = 48


def digest_of(text: str) -> str:
    """SHA-256 in hexadecimal."""
    return hashlib.sha256(text.encode()).hexdigest()


def item_digest(item: Record | RecordError) -> str:
    """Of what a document says and where it stands."""
    record = item if isinstance(item, Record) else None
    content = None if record is None else [record.text, record.words, plain(record.columns), plain(record.values)]
    return digest_of(json.dumps([item.source, item.line, content]))


def work_folder(place: Path) -> Path:
    """The hidden folder beside a file in which its unfinished run lies.

    Example:
        >>> work_folder(Path("runs/answers.csv")).as_posix()
        'runs/.answers.csv.unfinished'
    """
    name = place.name
    if len(name) > _LONGEST_NAME:  # file systems take 255 bytes, and a character may be four
        name = f"{name[:_LONGEST_NAME]}.{digest_of(ascii(name))[:16]}"
    return place.with_name(f".{name}.unfinished")


def check_unfinished(output: str | Path, place: Path, *, resume: bool, overwrite: bool) -> None:
    """Check, before a model is loaded, that a run may write to `output`.

    Args:
        output: as the user named it.
        place: where that is.
        resume: go on with an unfinished run, if there is one.
        overwrite: discard an unfinished run, and replace the file, if there is one.

    Raises:
        NysformerError: both; another process is writing the file; neither, and there is an unfinished run; there is a
            finished file, and neither `overwrite` nor an unfinished run to go on with.
    """
    if resume and overwrite:
        raise NysformerError("resume=True and overwrite=True: choose one")
    if work_folder(place).is_dir():
        with lock_folder(work_folder(place), title=output):
            pass
    _check_free(output, place, resume=resume, overwrite=overwrite)


def _check_free(output: str | Path, place: Path, *, resume: bool, overwrite: bool) -> None:
    unfinished = (work_folder(place) / JOB).exists()
    if overwrite or (resume and unfinished):
        return
    if unfinished:
        raise NysformerError(
            f"{output}: an unfinished run lies beside it; go on with resume=True, or start over with overwrite=True"
        )
    if place.is_file() and place.stat().st_size:
        raise NysformerError(f"{output}: this file exists; name another, or replace it with overwrite=True")


@contextmanager
def locked_work(output: str | Path, place: Path, *, resume: bool, overwrite: bool) -> Iterator[Path]:
    """The work folder of a run, locked; it is removed at the end unless something is left in it.

    Args:
        output, place, resume, overwrite: see `check_unfinished`.

    Raises:
        NysformerError: as `check_unfinished`.
    """
    folder = work_folder(place)
    try:
        with lock_folder(folder, title=output):
            _check_free(output, place, resume=resume, overwrite=overwrite)
            yield folder
    finally:
        with suppress(OSError):  # an unfinished run stays
            folder.rmdir()


def check_changed(output: str | Path, before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Check the settings of a run that goes on.

    Args:
        output: as the user named it.
        before: the settings of the unfinished run, as JSON holds them.
        now: those that are given.

    Raises:
        NysformerError: one of them differs.
    """
    for name, value in now.items():
        if before.get(name) != value:
            first, second = (f"no {name}" if each is None else f"{name}={each!r}" for each in (before.get(name), value))
            raise NysformerError(
                f"{output}: the unfinished run has {first}, this one {second}; give the same again, or start over with "
                "overwrite=True"
            )


def noted(records: Iterator[Item], digests: deque[str]) -> Iterator[Item]:
    """The items, while the digest of each document is put into `digests`."""
    for item in records:
        if not isinstance(item, Waiting):
            digests.append(item_digest(item))
        yield item


def read_over(output: str | Path, records: Iterator[Item], items: int, digest: str) -> None:
    """Read over the documents that are answered.

    Args:
        output: as the user named it.
        records: from the first one on.
        items: how many are answered.
        digest: of all of them: that of those before, and the next one's, again and again.

    Raises:
        NysformerError: they are others.
    """
    found = ""
    for _ in range(items):
        item = next((item for item in records if not isinstance(item, Waiting)), None)
        if item is None:
            break
        found = digest_of(found + item_digest(item))
    if found != digest:
        raise NysformerError(
            f"{output}: the first {items:,} documents are not those of the unfinished run; give the same input again, "
            "or start over with overwrite=True"
        )


@contextmanager
def kept_work(output: str | Path, keep: Callable[[], int]) -> Iterator[None]:
    """Keep what is finished where the block fails, and say so.

    Args:
        output: as the user named it.
        keep: writes what is finished, and gives the number of documents.

    Raises:
        Interrupted: in place of a `KeyboardInterrupt`.
        NysformerError: as the block, with what is kept.
    """

    try:
        yield
    except KeyboardInterrupt as error:
        count = keep()
        how = (
            f"{count:,} documents are kept: go on with resume=True" if count else "nothing was finished: start it again"
        )
        raise Interrupted(f"{output}: interrupted; {how}") from error
    except NysformerError as error:
        count = keep()
        if not count or "overwrite=True" in str(error):
            raise
        raise NysformerError(f"{error}; {count:,} documents are kept: go on with resume=True") from error
