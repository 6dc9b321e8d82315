"""Models of a few numbers: what is tested is what is measured and written, never how fast."""

import pytest

from benchmarks.candidates import Size


@pytest.fixture
def size() -> Size:
    return Size(hidden=32, heads=4, intermediate=96, vocabulary=60, landmarks=8, kernel=5, positions=64)
