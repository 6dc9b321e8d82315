"""Work on a dataset without its own progress bars: whoever calls shows one bar for the whole."""

from collections.abc import Iterator
from contextlib import contextmanager

import datasets

__all__ = ["no_progress_bars"]


@contextmanager
def no_progress_bars() -> Iterator[None]:
    """Turn off the bars of `datasets` inside the block, and leave them after it as they were."""
    was_on = datasets.is_progress_bar_enabled()
    datasets.disable_progress_bars()
    try:
        yield
    finally:
        if was_on:
            datasets.enable_progress_bars()
