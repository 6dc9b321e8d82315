"""How much memory a task takes at its peak, each in a process of its own."""

from __future__ import annotations

import contextlib
import gc
import multiprocessing
import re
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

from benchmarks.timing import Task
from nysformer.errors import NysformerError

__all__ = ["peak_memory", "resident_memory"]

_STATUS = Path("/proc/self/status")
_CLEAR = Path("/proc/self/clear_refs")


def peak_memory(make: Callable[..., Task], *arguments: Any) -> float:
    """The resident memory a task adds at its peak to what stood before it, in MiB, in a fresh process.

    Args:
        make: a function at the top of a module; makes the task, with everything that is not to be counted, such as the
            model and its weights.
        arguments: of `make`; they are pickled.

    Raises:
        NysformerError: the process was killed, as the system does where memory runs out; or it cannot be measured here.

    Example:
        >>> peak_memory(make_task, "nysformer", 4096)  # doctest: +SKIP
        142.5
    """
    with ProcessPoolExecutor(max_workers=1, mp_context=multiprocessing.get_context("spawn")) as pool:
        try:
            return pool.submit(_measure, make, *arguments).result()
        except BrokenProcessPool as error:
            raise NysformerError(
                f"memory of {arguments}: the process was killed, for want of memory most likely; leave it out"
            ) from error


def _measure(make: Callable[..., Task], *arguments: Any) -> float:
    task = make(*arguments)
    gc.collect()
    before = resident_memory()
    task()
    return max(0.0, _peak() - before)


def resident_memory() -> float:
    """What is resident now, in MiB; the peak starts from here where the system lets it be reset (Linux)."""
    if not _STATUS.exists():
        return _peak()
    with contextlib.suppress(OSError):  # a container may forbid it: the peak is then the process's since its start
        _CLEAR.write_text("5")
    return _status("VmRSS")


def _peak() -> float:
    """The peak in MiB. Linux's `ru_maxrss` is no use here: a child begins with its parent's."""
    if _STATUS.exists():
        return _status("VmHWM")
    try:
        import resource
    except ImportError as error:
        raise NysformerError("peak memory cannot be measured on this system: use Linux or macOS") from error
    largest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return largest / 2**20 if sys.platform == "darwin" else largest / 2**10


def _status(name: str) -> float:
    found = re.search(rf"^{name}:\s+(\d+) kB$", _STATUS.read_text(encoding="ascii"), re.MULTILINE)
    assert found is not None, name
    return int(found[1]) / 2**10
