"""Failed writes, told apart from every other error: each library reports a full disk in its own way."""

import errno
import os
import re

from safetensors import SafetensorError

__all__ = ["write_failure"]

_OS_ERROR = re.compile(r"\(os error (\d+)\)")
_TORCH = re.compile(r"PytorchStreamWriter|inline_container|file write failed|unexpected pos \d+ vs|iostream error")
# Errors of a device or a folder, as against those of a file that a user named.
_OF_THE_PLACE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS}


def write_failure(error: BaseException | None) -> str | None:
    """Say why a write failed, if that is what an error is about; None for every other error.

    Knows the operating system's errors, also as the cause of another error, and the exceptions that safetensors,
    tokenizers and `torch.save` raise instead of them.

    Example:
        >>> write_failure(OSError(28, "No space left on device"))
        'No space left on device'
        >>> write_failure(RuntimeError("[enforce fail] PytorchStreamWriter failed writing file data/0"))
        'torch could not write the whole file; is the disk full?'
        >>> write_failure(ValueError("of another kind"))
    """
    while error is not None:
        if isinstance(error, OSError):
            return _reason(error.errno) or str(error)
        text = str(error)
        number = _OS_ERROR.search(text)
        if number:  # what Rust's libraries say
            return _reason(int(number[1])) or text
        if isinstance(error, SafetensorError) and "I/O error" in text:
            return text
        if isinstance(error, RuntimeError) and _TORCH.search(text):
            return "torch could not write the whole file; is the disk full?"
        error = error.__cause__
    return None


def _reason(number: int | None) -> str | None:
    return os.strerror(number) if number else None
