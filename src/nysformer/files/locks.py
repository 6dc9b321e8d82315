"""One process at a time writes to a folder."""

import errno
import json
import logging
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

from filelock import FileLock, Timeout

from nysformer.errors import NysformerError
from nysformer.files.atomic import check_parent, write_error
from nysformer.files.folders import missing_folders, remove_empty

__all__ = ["LOCK", "holds_nothing", "lock_folder"]

LOCK = ".nysformer.lock"
# What a file system says that has no locks.
_NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP}

logger = logging.getLogger(__name__)


def holds_nothing(folder: Path) -> bool:
    """Whether a folder is empty, its lock file aside."""
    return all(path.name == LOCK for path in folder.iterdir())


@contextmanager
def lock_folder(path: str | Path, *, title: str | Path | None = None) -> Iterator[None]:
    """Make the folder `path` where it is missing, and keep every other process and thread from locking it.

    The operating system holds the lock, so one whose process was killed is free. At the end the lock file is removed,
    and the folders that were made here, if they are still empty. A file system without locks gets a warning.

    Args:
        path: the folder; a link to it is the same folder.
        title: what is written, for the error that another process writes it; None: the folder.

    Raises:
        NysformerError: another process has locked the folder, which is named with its host and since when; the folder
            cannot be made or written to.

    Example:
        >>> with lock_folder("runs/first"):
        ...     sorted(path.name for path in Path("runs/first").iterdir())
        ['.nysformer.lock']
        >>> Path("runs/first").exists()
        False
    """
    folder = Path(path)
    made: list[Path] = []
    lock = FileLock(folder / LOCK)
    try:
        made += missing_folders(folder)
        if made:
            check_parent(folder, exists=False)
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire(blocking=False)
    except Timeout as error:
        raise NysformerError(
            f"{path if title is None else title}: {_holder(folder / LOCK)} is writing here; wait for it or name another"
        ) from error
    except FileExistsError as error:
        raise NysformerError(f"{path}: a file stands where the folder should be; name another folder") from error
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            remove_empty(made)
            raise write_error(path, error) from error
        logger.warning("%s: this file system has no locks; do not start a second run here", path)
    try:
        _write_holder(folder / LOCK)
        yield
    finally:
        with suppress(OSError):
            (folder / LOCK).unlink()  # while it is locked: who opens it now finds out that it is gone
        if lock.is_locked:
            lock.release()
        remove_empty(made)


def _write_holder(lock_file: Path) -> None:
    """Say in the lock file who holds it; without that, a second process names nobody."""
    holder = {"pid": os.getpid(), "host": socket.gethostname(), "since": f"{datetime.now():%Y-%m-%d %H:%M:%S}"}
    with suppress(OSError):
        lock_file.write_text(json.dumps(holder), encoding="utf-8")


def _holder(lock_file: Path) -> str:
    try:
        holder = json.loads(lock_file.read_text(encoding="utf-8"))
        return f"another run (pid {holder['pid']}, host {holder['host']}, since {holder['since']})"
    except (OSError, ValueError, KeyError, TypeError):
        return "another run"
