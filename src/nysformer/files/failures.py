"""Failed writes, told apart from every other error: each library reports a full disk in its own way."""

import errno
import os
import re

from nysformer.errors import NysformerError

__all__ = ["write_failure"]

_OS_ERROR = re.compile(r"\(os error (\d+)\)")
_TORCH = re.compile(r"PytorchStreamWriter|inline_container|file write failed|unexpected pos \d+ vs|iostream error")
# Errors that only a write can raise.
_OF_WRITING = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS}


def write_failure(error: BaseException) -> str | None:
    """Say why a write failed, given an error of code that writes files; None for an error of another kind.

    Knows the operating system's errors, also where they are the cause of a `NysformerError`, and the exceptions that
    safetensors, tokenizers and `torch.save` raise instead of them.

    Example:
        >>> write_failure(OSError(28, "No space left on device"))
        'no space left on device'
        >>> write_failure(RuntimeError("[enforce fail] PytorchStreamWriter failed writing file data/0"))
        'torch could not write the whole file; is the disk full?'
        >>> write_failure(ValueError("of another kind"))
    """
    if isinstance(error, NysformerError):
        # One that speaks of reading has such a cause, too; but a device is full only for those who write.
        return None if error.__cause__ is None else _failure(error.__cause__, _OF_WRITING)
    return _failure(error, None)


def _failure(error: BaseException, numbers: set[int] | None) -> str | None:
    """Why a write failed; `numbers` are the system's errors to consider, None for all."""
    text = str(error)
    if isinstance(error, NysformerError):
        return write_failure(error)
    if isinstance(error, RuntimeError) and _TORCH.search(text):
        return "torch could not write the whole file; is the disk full?"
    rust = _OS_ERROR.search(text)
    number = error.errno if isinstance(error, OSError) else int(rust[1]) if rust else None
    if numbers is not None and number not in numbers:
        return None
    return _reason(number) or (text if isinstance(error, OSError) else None)


def _reason(number: int | None) -> str | None:
    reason = os.strerror(number) if number else ""
    return f"{reason[:1].lower()}{reason[1:]}" or None
