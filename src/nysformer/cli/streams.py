"""Standard output whose failures are told apart: a reader that has gone, and a disk that is full."""

import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from nysformer.files.atomic import NamedFile

__all__ = ["ClosedPipe", "standard_output"]


class ClosedPipe(BaseException):
    """Whoever read standard output, such as `head`, has closed it: the command has nothing left to do.

    Not an `Exception`, and not the `BrokenPipeError` it comes from, because libraries exit with code 1 on that.
    """


class _Output(NamedFile):
    def write(self, data: Any) -> int:
        try:
            return super().write(data)
        except BrokenPipeError as error:
            raise ClosedPipe from error


@contextmanager
def standard_output() -> Iterator[None]:
    """Let `sys.stdout` raise what says why it cannot be written; restore and flush it at the end.

    A `sys.stdout` without a file descriptor, as tests and notebooks have, stays as it is.

    Raises:
        ClosedPipe: its reader has closed it.
        NysformerError: it cannot be written, such as a full disk.
    """
    usual: Any = sys.stdout
    try:
        usual.flush()
        raw = _Output(usual.fileno(), "w", title="standard output", closefd=False)
    except (AttributeError, OSError, ValueError):
        yield
        return
    sys.stdout = io.TextIOWrapper(
        io.BufferedWriter(raw),
        encoding=usual.encoding,
        errors=usual.errors,
        line_buffering=usual.line_buffering,
        write_through=usual.write_through,
    )
    try:
        yield
    finally:
        named, sys.stdout = sys.stdout, usual
        try:
            named.flush()
        finally:
            raw.failed = True  # whoever still holds it writes nowhere
