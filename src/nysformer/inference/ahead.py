"""Read ahead of the answers by a bounded window: enough documents to find some of like length."""

from collections.abc import Iterator

from nysformer.data.given import Given
from nysformer.data.records import Record, RecordError, Waiting

__all__ = ["windows"]

WINDOW_BATCHES = 8
WINDOW_DOCUMENTS = 1024
# The first window is small, so that the first answers come soon; each full one doubles the next, up to these.
FIRST_SHARE = 32
CHARACTERS_PER_TOKEN = 4


def windows(records: Iterator[Given], tokens_per_batch: int) -> Iterator[list[Record | RecordError]]:
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
