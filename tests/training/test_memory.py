"""Memory goes back to the system as long as it is told to."""

import ctypes
import subprocess
import sys
from pathlib import Path

import pytest

from nysformer.training.memory import returned_memory

STATUS = Path("/proc/self/status")
# In a process of its own: one that has freed much before would hand that out again, and not grow.
PROGRAM = """
import re
import torch
from nysformer.training.memory import returned_memory

def resident():
    return int(re.search(r"VmRSS:\\s+(\\d+) kB", open("/proc/self/status").read())[1]) / 2**10

with returned_memory():
    before = resident()
    held = [torch.ones(2**21) for _ in range(8)]  # 8 MiB each
    small = [torch.ones(8) for _ in range(8)]
    grown = resident() - before
    del held
    print(grown, resident() - before)
"""


@pytest.mark.skipif(not STATUS.exists() or not hasattr(ctypes.CDLL(None), "mallopt"), reason="needs glibc on Linux")
def test_what_is_freed_is_gone() -> None:
    found = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    grown, left = map(float, found.stdout.split())
    assert grown > 50
    assert left < 20


def test_an_error_inside_comes_through() -> None:
    with pytest.raises(KeyError), returned_memory():
        raise KeyError
