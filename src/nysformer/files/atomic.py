"""Write a file whole or not at all; every failure is one line that names the file."""

import errno
import io
import os
import uuid
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

from nysformer.errors import NysformerError

__all__ = ["NamedFile", "check_output", "check_parent", "write_atomically", "write_error"]

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def write_error(name: str | Path, error: OSError) -> NysformerError:
    """The error that says which file cannot be written, why, and what helps."""
    fix = "free some space or name another place" if error.errno in _FULL else "name another place"
    reason = error.strerror or str(error)
    return NysformerError(f"{name}: cannot be written ({reason[:1].lower()}{reason[1:]}); {fix}")


class NamedFile(io.FileIO):
    """A raw file, open for writing, whose failed writes are a `NysformerError` with its name.

    A pipe that its reader closed stays a `BrokenPipeError`. After a failure nothing more is written: what the layers
    above still hold is dropped when they are closed.

    Args:
        file: a path or a file descriptor.
        mode: as for `io.FileIO`.
        title: how the errors call it.
        closefd: whether closing it closes the descriptor.

    Attributes:
        failed: whether a write has failed.
    """

    def __init__(self, file: str | Path | int, mode: str, *, title: str, closefd: bool = True) -> None:
        super().__init__(file, mode, closefd=closefd)
        self.title = title
        self.failed = False

    def write(self, data: Any) -> int:
        if self.failed:
            return memoryview(data).nbytes
        try:
            return super().write(data)
        except BrokenPipeError:
            self.failed = True
            raise
        except OSError as error:
            self.failed = True
            raise write_error(self.title, error) from error


def write_atomically(path: str | Path, *, binary: bool = False) -> AbstractContextManager[Any]:
    """Open `path` for writing, and put what was written in its place when the block ends well.

    Until then, and for good if the block raises, `path` is as it was; no other file is left behind. Two writers of one
    path do not disturb each other: the last to end wins. A symbolic link keeps pointing where it did; what is not a
    regular file (a named pipe, a device) is written directly, because it cannot be replaced.

    Args:
        path: of the file.
        binary: open it for bytes; otherwise for UTF-8 text.

    Raises:
        NysformerError: as `check_output`; the disk is full or fails, while writing or at the end.

    Example:
        >>> with write_atomically("metrics.json") as file:
        ...     _ = file.write("{}")
        >>> Path("metrics.json").read_text()
        '{}'
    """
    return _atomic(path, binary)


@contextmanager
def _atomic(path: str | Path, binary: bool) -> Iterator[Any]:
    place = check_output(path)
    direct = place.exists() and not place.is_file()
    target = place if direct else place.with_name(f".{place.name[:60]}.{uuid.uuid4().hex}.part")
    try:
        raw = NamedFile(target, "w" if direct else "x", title=str(place))
    except OSError as error:
        raise write_error(place, error) from error
    buffered = io.BufferedWriter(raw)
    file = buffered if binary else io.TextIOWrapper(buffered, encoding="utf-8", newline="\n")
    try:
        try:
            yield file
        except BaseException:
            raw.failed = True  # so that closing it writes nothing more
            file.close()
            raise
        if raw.failed:  # the block went on after the error
            raise NysformerError(f"{place}: cannot be written (a write failed); free some space or name another place")
        try:
            file.close()
            if not direct:
                os.replace(target, place)
        except BrokenPipeError:
            raise
        except OSError as error:
            raise write_error(place, error) from error
    finally:
        if not direct:
            target.unlink(missing_ok=True)


def check_output(path: str | Path, inputs: Iterable[str | Path] = ()) -> Path:
    """Check that a file can be written at `path`, without writing or making anything.

    Args:
        path: of the file; its folder must exist.
        inputs: files and folders that are read meanwhile, which writing there would destroy.

    Returns:
        The path with its symbolic links resolved.

    Raises:
        NysformerError: a folder stands there; the folder it is in is missing, a file, or not writable; it is one of
            the inputs, or an existing file below one.
    """
    try:
        place = Path(os.path.realpath(path))
        os.lstat(place)
    except FileNotFoundError:
        pass
    except NotADirectoryError:
        pass  # said by check_parent, which names the file
    except (OSError, ValueError) as error:  # a name that is too long, or that holds a zero byte
        reason = getattr(error, "strerror", None) or error
        raise NysformerError(f"{str(path)!r}: cannot be written ({reason}); name another place") from error
    if place.is_dir():
        raise NysformerError(f"{place}: a folder; name a file in it")
    check_parent(place, exists=True)
    if place.exists():
        if not place.is_file() and not os.access(place, os.W_OK):
            raise write_error(place, PermissionError(errno.EACCES, os.strerror(errno.EACCES)))
        for each in map(Path, inputs):
            if (each.exists() and os.path.samefile(each, place)) or (
                each.is_dir() and place.is_file() and place.is_relative_to(os.path.realpath(each))
            ):
                raise NysformerError(f"{path}: this file is read as input ({each}); name another place to write")
    return place


def check_parent(path: str | Path, *, exists: bool) -> None:
    """Check that something can be made at `path`, without making it.

    Args:
        path: of a file or a folder to make.
        exists: whether the folder it goes into must be there already; otherwise its folders can be made, too.

    Raises:
        NysformerError: a file stands where a folder should; a missing folder; one that cannot be written.
    """
    parent = Path(path).absolute().parent
    try:
        above = next(folder for folder in (parent, *parent.parents) if os.path.lexists(folder))
    except ValueError as error:  # a zero byte in the name
        raise NysformerError(f"{str(path)!r}: cannot be written ({error}); name another place") from error
    if not above.is_dir():
        raise NysformerError(f"{path}: cannot be written: {above} is not a folder; name another place")
    if exists and above != parent:
        raise NysformerError(f"{path}: cannot be written: there is no folder {parent}; make it first")
    if not os.access(above, os.W_OK | os.X_OK):
        raise write_error(path, PermissionError(errno.EACCES, f"no permission to write in {above}"))
