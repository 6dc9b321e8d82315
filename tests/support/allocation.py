"""A task of known size, in a module that a fresh process imports at once."""

import os
import signal
from collections.abc import Callable


def make_allocation(mebibytes: int) -> Callable[[], bytearray]:
    def task() -> bytearray:
        block = bytearray(mebibytes * 2**20)
        block[:: 2**10] = b"x" * len(block[:: 2**10])  # every page is touched
        return block

    return task


def make_death() -> Callable[[], None]:
    return lambda: os.kill(os.getpid(), signal.SIGKILL)
