"""How the C library keeps memory, where that decides what a training step takes."""

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["returned_memory"]

# Of glibc's <malloc.h>.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_LARGE = 2**20
# Where glibc's own adjustment ends after the first large tensors.
_USUAL = 32 * 2**20


@contextmanager
def returned_memory() -> Iterator[None]:
    """Give large tensors back to the system when they are freed, as long as this lasts.

    glibc keeps freed blocks of up to 32 MiB for itself, and before its version 2.38 cannot hand an aligned one out a
    second time once something small stands beside it. A step that frees and asks again, as gradient checkpointing
    does, then holds twice what it uses. Fresh memory has its price: a step takes about a quarter longer. Where the C
    library has no such setting, nothing happens.

    Example:
        >>> with returned_memory():
        ...     pass
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        yield
        return
    mallopt(_M_MMAP_THRESHOLD, _LARGE)
    try:
        yield
    finally:
        mallopt(_M_MMAP_THRESHOLD, _USUAL)
        mallopt(_M_TRIM_THRESHOLD, 2 * _USUAL)
