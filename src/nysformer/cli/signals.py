"""Ctrl-C and a request to terminate end a command wherever they meet it."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["TERMINATED", "stoppable"]

TERMINATED = 143
"""The exit code after a request to terminate."""

_AGAIN_AFTER = 0.05  # seconds: by then most of what swallows exceptions has returned


@contextmanager
def stoppable() -> Iterator[None]:
    """Let SIGTERM unwind the stack as Ctrl-C does, so that no partial file is left, and let neither be lost.

    Python ignores what is raised in a destructor or in the callback of a weak reference, of which every import has one.
    A signal that arrives there is sent again.
    """
    main = threading.main_thread()
    if threading.current_thread() is not main:
        yield
        return

    def terminate(*_: object) -> None:
        raise SystemExit(TERMINATED)

    def ignored(unraisable: Any) -> None:
        number = _signal_of(unraisable.exc_value)
        if number is None:
            shown(unraisable)
        else:
            # A signal sent from here would meet this function, whose exceptions are ignored, too.
            again = threading.Timer(_AGAIN_AFTER, signal.pthread_kill, (main.ident, number))
            again.daemon = True
            again.start()

    before, shown = signal.signal(signal.SIGTERM, terminate), sys.unraisablehook
    sys.unraisablehook = ignored
    try:
        yield
    finally:
        sys.unraisablehook = shown
        signal.signal(signal.SIGTERM, before)


def _signal_of(error: BaseException | None) -> signal.Signals | None:
    """The signal whose handler raised it."""
    if isinstance(error, KeyboardInterrupt):
        return signal.SIGINT
    return signal.SIGTERM if isinstance(error, SystemExit) and error.code == TERMINATED else None
