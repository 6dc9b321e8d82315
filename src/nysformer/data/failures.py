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
    if isinstance(error, OSError):
        return _reason(error.errno) or str(error)
    if isinstance(error, NysformerError):
        cause = error.__cause__
        return write_failure(cause) if isinstance(cause, OSError) and cause.errno in _OF_WRITING else None
    text = str(error)
    number = _OS_ERROR.search(text)
    if number:  # what Rust's libraries say
        return _reason(int(number[1]))
    if isinstance(error, RuntimeError) and _TORCH.search(text):
        return "torch could not write the whole file; is the disk full?"
    return None


def _reason(number: int | None) -> str | None:
    reason = os.strerror(number) if number else ""
    return f"{reason[:1].lower()}{reason[1:]}" or None
