"""Runs a model over examples and over streams of records: batches by token budget, memory bounded whatever there is.

Shapes: B batch, N padded length.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nysformer.data.batches import TokenBudgetBatchSampler
from nysformer.data.records import Item, Record, RecordError, Waiting
from nysformer.errors import NysformerError
from nysformer.inference.options import TOKENS_PER_BATCH
from nysformer.models import NystromformerPreTrainedModel
from nysformer.tasks.base import Example, Task

__all__ = ["NotFinite", "Runner", "is_out_of_memory", "windows"]


# How far reading runs ahead of the answers: enough to find documents of like length, whatever there is to read. The
# first window is small, so that the first answers come soon; each full one doubles the next, up to these.
WINDOW_BATCHES = 8
WINDOW_DOCUMENTS = 1024
FIRST_SHARE = 32
CHARACTERS_PER_TOKEN = 4


class NotFinite(NysformerError):
    """A model's scores are not finite numbers."""


class Runner:
    """Runs examples of a task through a model, without gradients.

    Args:
        model: in evaluation mode, on the device it is to run on.
        task: collates the examples and reads the model's outputs.
        tokens_per_batch: real tokens per batch; a longer example gets its own batch.
        context: entered around each forward pass, such as autocast.
    """

    def __init__(
        self,
        model: NystromformerPreTrainedModel,
        task: Task[Any, Any],
        tokens_per_batch: int = TOKENS_PER_BATCH,
        context: Callable[[], AbstractContextManager[Any]] = nullcontext,
    ) -> None:
        self.model = model
        self.task = task
        self.tokens_per_batch = tokens_per_batch
        self._context = context
        self._batches = 0

    def __call__(self, examples: Sequence[Example]) -> list[Any]:
        """What `Task.outputs` gives for each example, in batches of like length under the budget.

        Raises:
            NotFinite: a score is not a finite number: the weights are broken.
            NysformerError: not enough memory.
        """
        outputs: list[Any] = [None] * len(examples)
        if not examples:
            return outputs
        lengths = [example.num_tokens for example in examples]
        batches = TokenBudgetBatchSampler(lengths, self.tokens_per_batch, shuffle=False)
        for indices in batches:
            batch = [examples[index] for index in indices]
            for index, output in zip(indices, self._forward(batch), strict=True):
                outputs[index] = output
        return outputs

    def outputs(
        self, inputs: Mapping[str, Tensor], batch: Mapping[str, Tensor], examples: Sequence[Example]
    ) -> list[Any]:
        """What the model gives for a batch, one entry per example.

        Args:
            inputs: of the model, on its device.
            batch: inputs and labels, as collated.
            examples: of the batch.
        """
        return self.task.outputs(self.model(**inputs), batch, examples)

    def _forward(self, examples: list[Example]) -> list[Any]:
        # What a task draws follows from the number of the batch, so that every evaluation draws the same.
        rng = np.random.default_rng((0, 0, self._batches))
        self._batches += 1
        batch = self.task.collate(examples, self.model.config.pad_token_id or 0, rng)
        device = self.model.device
        inputs = {name: value.to(device) for name, value in batch.items() if name not in examples[0].targets}
        try:
            with torch.inference_mode(), self._context():
                rows = self.outputs(inputs, batch, examples)
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            raise NysformerError(
                f"not enough memory for a batch of {len(examples)} documents, the longest of "
                f"{batch['input_ids'].shape[-1]:,} tokens; lower tokens_per_batch or max_length"
            ) from error
        if not all(np.isfinite(row).all() for row in rows):
            raise NotFinite("the model's scores are not finite numbers: its weights are broken; train it again")
        return rows


def windows(records: Iterator[Item], tokens_per_batch: int, *, before: int = 0) -> Iterator[list[Record | RecordError]]:
    """Gather records that are answered together.

    A window ends when it is full, when the records end or reading them fails, and when a `Waiting` says that no more
    will come for now. The first window is small, so that the first answers come soon. A failure is raised once what was
    read before it is answered.

    Args:
        records: of the windows to come.
        tokens_per_batch: of the batches that a window is made into.
        before: windows that an earlier part of the run has answered; those that follow are cut as if it had gone on.
    """
    most = WINDOW_BATCHES * tokens_per_batch * CHARACTERS_PER_TOKEN
    share = max(1, FIRST_SHARE >> before)
    window: list[Record | RecordError] = []
    characters = 0
    failure: Exception | None = None
    while failure is None:
        try:
            item = next(records)
        except StopIteration:
            break
        except Exception as error:
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
    """torch has a class for a GPU's memory only; a CPU's is a RuntimeError of the allocator."""
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or "DefaultCPUAllocator" in str(error)
