"""Every library's way of saying that a write failed, and nothing else, is known."""

import errno

import pytest
from safetensors import SafetensorError

from nysformer.errors import NysformerError
from nysformer.files.failures import write_failure


def caused(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)"),
        Exception("No space left on device (os error 28)"),  # tokenizers
        caused(NysformerError("x: cannot be written"), OSError(errno.ENOSPC, "No space left on device")),
        caused(
            NysformerError("run: cannot be written"),
            caused(NysformerError("x: cannot be written"), OSError(errno.ENOSPC, "No space left on device")),
        ),
        caused(NysformerError("run: cannot be written"), Exception("No space left on device (os error 28)")),
    ],
    ids=repr,
)
def test_a_full_disk(error: Exception) -> None:
    assert write_failure(error) == "no space left on device"


@pytest.mark.parametrize(
    "text",
    [
        "[enforce fail at inline_container.cc:672] . unexpected pos 576 vs 534",
        "[enforce fail at inline_container.cc:858] . PytorchStreamWriter failed writing file data/0: file write failed",
        "basic_ios::clear: iostream error",
    ],
)
def test_torch(text: str) -> None:
    assert write_failure(RuntimeError(text)) == "torch could not write the whole file; is the disk full?"


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("mat1 and mat2 shapes cannot be multiplied"),
        SafetensorError("Error while deserializing header: header too large"),
        NysformerError("the training loss is nan"),
        caused(NysformerError("metrics.json: cannot be read"), OSError(errno.ENOENT, "No such file or directory")),
        caused(NysformerError("its tokenizer cannot be read"), Exception("No such file (os error 2)")),
        KeyError("labels"),
    ],
    ids=repr,
)
def test_other_errors(error: Exception) -> None:
    assert write_failure(error) is None
