"""Printing to a standard output that may be closed or full."""

from __future__ import annotations

import os
import sys

from nysformer.errors import NysformerError

__all__ = ["say"]


def say(text: str) -> None:
    """Print `text`; nothing if the reader has closed the pipe, as `head` does.

    Raises:
        NysformerError: standard output cannot be written, on a full disk for instance.
    """
    try:
        print(text, flush=True)
    except OSError as error:
        # What the interpreter flushes on its way out must not fail again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if not isinstance(error, BrokenPipeError):
            raise NysformerError(f"standard output cannot be written ({error.strerror})") from error
