"""Memory goes back to the system as long as it is told to."""

import ctypes
import re
from pathlib import Path

import pytest
import torch

from nysformer.training.memory import returned_memory

STATUS = Path("/proc/self/status")


def resident() -> float:
    """In MiB."""
    found = re.search(r"^VmRSS:\s+(\d+) kB$", STATUS.read_text(encoding="ascii"), re.MULTILINE)
    assert found is not None
    return int(found[1]) / 2**10


@pytest.mark.skipif(not STATUS.exists() or not hasattr(ctypes.CDLL(None), "mallopt"), reason="needs glibc on Linux")
def test_what_is_freed_is_gone() -> None:
    with returned_memory():
        before = resident()
        held = [torch.ones(2**21) for _ in range(8)]  # 8 MiB each
        small = [torch.ones(8) for _ in range(8)]
        assert resident() - before > 50
        del held
        assert resident() - before < 20
    assert len(small) == 8


def test_an_error_inside_comes_through() -> None:
    with pytest.raises(KeyError), returned_memory():
        raise KeyError
