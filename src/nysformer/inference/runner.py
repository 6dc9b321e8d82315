"""What running a model over a stream of records needs: bounded windows of them, and whether memory ran out."""

from collections.abc import Iterator

import torch

from nysformer.data.records import Item, Record, RecordError, Waiting

__all__ = ["TOKENS_PER_BATCH", "is_out_of_memory", "windows"]

TOKENS_PER_BATCH = 8192
"""Real tokens per batch; more is no faster on a CPU."""

WINDOW_BATCHES = 8
WINDOW_DOCUMENTS = 1024
# The first window is small, so that the first answers come soon; each full one doubles the next, up to these.
FIRST_SHARE = 32
CHARACTERS_PER_TOKEN = 4


def windows(records: Iterator[Item], tokens_per_batch: int) -> Iterator[list[Record | RecordError]]:
    """Documents in their order, gathered until a window is full, they end, or a `Waiting` says none come for now.

    Args:
        records: documents as they come; where reading them fails, what was read before is given out first.
        tokens_per_batch: real tokens per batch; a full window has about eight batches.
    """
    most = WINDOW_BATCHES * tokens_per_batch * CHARACTERS_PER_TOKEN
    share = FIRST_SHARE
    window: list[Record | RecordError] = []
    characters = 0
    failure: Exception | None = None
    while failure is None:
        try:
            item = next(records)
        except StopIteration:
            break
        except Exception as error:  # raised again once what was read before it is answered
            failure = error
            break
        if not isinstance(item, Waiting):
            window.append(item)
            characters += len(item.text) if isinstance(item, Record) else 0
        full = characters * share >= most or len(window) * share >= WINDOW_DOCUMENTS
        if window and (full or isinstance(item, Waiting)):
            yield window
            window, characters = [], 0
            share = max(1, share // 2) if full else share
    if window:
        yield window
    if failure is not None:
        raise failure


def is_out_of_memory(error: Exception) -> bool:
    """Whether memory ran out. torch has a class for a GPU's memory only; a CPU's is a RuntimeError of the allocator."""
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or "DefaultCPUAllocator" in str(error)
