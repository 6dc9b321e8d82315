"""Work without the progress bars of `datasets` and `transformers`: whoever calls shows one bar for the whole."""

from collections.abc import Iterator
from contextlib import contextmanager

import datasets
from transformers.utils import logging

__all__ = ["no_progress_bars"]


@contextmanager
def no_progress_bars() -> Iterator[None]:
    """Turn both libraries' bars off inside the block, and leave them after it as they were."""
    switches = (
        (datasets.is_progress_bar_enabled, datasets.disable_progress_bars, datasets.enable_progress_bars),
        (logging.is_progress_bar_enabled, logging.disable_progress_bar, logging.enable_progress_bar),
    )
    were_on = [enable for is_enabled, _, enable in switches if is_enabled()]
    for _, disable, _ in switches:
        disable()
    try:
        yield
    finally:
        for enable in were_on:
            enable()
