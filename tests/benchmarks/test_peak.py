"""Peak memory is the task's own, whatever the parent holds."""

import pytest
from allocation import make_allocation, make_death

from benchmarks.peak import peak_memory
from nysformer.errors import NysformerError


def test_peak_is_what_the_task_adds() -> None:
    ballast = bytearray(b"x") * (300 * 2**20)  # Linux hands the parent's ru_maxrss to a child
    assert peak_memory(make_allocation, 64) == pytest.approx(64, abs=8)
    assert len(ballast) == 300 * 2**20


def test_a_killed_process_is_one_error() -> None:
    with pytest.raises(NysformerError, match="the process was killed"):
        peak_memory(make_death)
