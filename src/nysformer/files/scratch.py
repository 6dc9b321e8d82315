"""A temporary folder for Arrow files, removed when the process ends."""

import functools
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nysformer.errors import NysformerError

__all__ = ["disk_errors", "scratch_folder"]


def scratch_folder() -> Path:
    """A new, empty folder for the files of one dataset.

    It lies where `tempfile` makes its folders, which `TMPDIR` names. It stays until the process ends, because datasets
    that were made of it map its files into memory, and goes then, also after an error.

    Raises:
        NysformerError: no temporary folder can be made.
    """
    with disk_errors():
        return Path(tempfile.mkdtemp(dir=_root().name))


@functools.cache
def _root() -> "tempfile.TemporaryDirectory[str]":
    return tempfile.TemporaryDirectory(prefix="nysformer-", ignore_cleanup_errors=True)


@contextmanager
def disk_errors() -> Iterator[None]:
    """Say in one line that temporary files cannot be written.

    Raises:
        NysformerError: for an `OSError` inside the block, such as a full disk.
    """
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error).partition("\n")[0]
        raise NysformerError(
            f"temporary files cannot be written to {tempfile.gettempdir()} ({reason}); make room there, or name "
            "another folder with the environment variable TMPDIR"
        ) from error
