"""Runs over a stream of documents that outlive a kill: what is finished lies beside the output until that is whole.

A run that goes on is given the same documents again. It reads over those that are answered, and knows them by a digest
of all of them in their order.
"""

import hashlib
import json
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from nysformer.data.records import Item, Record, RecordError, Waiting
from nysformer.data.tables import plain
from nysformer.errors import Interrupted, NysformerError

__all__ = ["JOB", "check_unfinished", "digest_of", "item_digest", "kept_work", "noted", "read_over", "work_folder"]

JOB = "job.json"
"""The file of a work folder that says what its run does."""


def digest_of(text: str) -> str:
    """SHA-256 in hexadecimal."""
    return hashlib.sha256(text.encode()).hexdigest()


def item_digest(item: Record | RecordError) -> str:
    """Of what a document says and where it stands."""
    record = item if isinstance(item, Record) else None
    content = None if record is None else [record.text, plain(record.columns), plain(record.values)]
    return digest_of(json.dumps([item.source, item.line, content]))


def work_folder(place: Path) -> Path:
    """The hidden folder beside a file in which its unfinished run lies."""
    return place.with_name(f".{place.name[:60]}.unfinished")


def check_unfinished(output: str | Path, place: Path, *, resume: bool, overwrite: bool) -> None:
    """Check, before a model is loaded, that a run may write to `output`.

    Args:
        output: as the user named it.
        place: where that is.
        resume, overwrite: go on with an unfinished run, or discard it, if there is one.

    Raises:
        NysformerError: both; or neither, and there is an unfinished run.
    """
    if resume and overwrite:
        raise NysformerError("resume=True and overwrite=True: choose one")
    if not (resume or overwrite) and (work_folder(place) / JOB).exists():
        raise NysformerError(
            f"{output}: an unfinished run lies beside it; go on with resume=True, or start over with overwrite=True"
        )


def noted(records: Iterator[Item], digests: deque[str]) -> Iterator[Item]:
    """The items, while the digest of each document is put into `digests`."""
    for item in records:
        if not isinstance(item, Waiting):
            digests.append(item_digest(item))
        yield item


def read_over(records: Iterator[Item], items: int, digest: str) -> None:
    """Read over the documents that are answered.

    Args:
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
            f"the first {items:,} documents are not those of the unfinished run; give the same input again, or start "
            "over with overwrite=True"
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

    def said() -> str:
        count = keep()
        return f"{count:,} documents are kept: go on with resume=True" if count else "nothing was finished: start again"

    try:
        yield
    except KeyboardInterrupt as error:
        raise Interrupted(f"{output}: interrupted; {said()}") from error
    except NysformerError as error:
        if "overwrite=True" in str(error):
            raise
        raise NysformerError(f"{error}; {said()}") from error
