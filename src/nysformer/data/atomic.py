"""A file is written whole or not at all."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from io import TextIOWrapper
from pathlib import Path

from nysformer.errors import NysformerError

__all__ = ["write_atomically"]


@contextmanager
def write_atomically(path: str | Path) -> Iterator[TextIOWrapper]:
    """Open `path` for UTF-8 text, and put what was written in its place when the block ends well.

    Until then, and for good if the block raises, `path` is as it was. A symbolic link keeps pointing where it did; what
    is no regular file (a named pipe, a device) is written directly, for it cannot be replaced.

    Raises:
        NysformerError: `path` is a folder, or cannot be written there.

    Example:
        >>> with write_atomically("metrics.json") as file:  # doctest: +SKIP
        ...     json.dump(metrics, file)
    """
    path = Path(path).resolve()
    if path.is_dir():
        raise NysformerError(f"{path}: a folder; name a file in it")
    direct = path.exists() and not path.is_file()
    target = path if direct else path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        file = target.open("w", encoding="utf-8", newline="\n")
    except OSError as error:
        raise NysformerError(f"{path}: cannot be written ({error.strerror}); name another place") from error
    try:
        with file:
            yield file
        if not direct:
            os.replace(target, path)
    finally:
        if not direct:
            target.unlink(missing_ok=True)
