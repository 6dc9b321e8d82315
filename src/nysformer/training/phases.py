"""A run in two phases: examples as they are read, then, for a last share of it, whole documents."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from torch.utils.data import Dataset, Sampler
from transformers import TrainerCallback, TrainerState
from transformers.trainer_callback import ExportableState

from nysformer.data.batches import TokenBudgetBatchSampler
from nysformer.tasks.base import Example
from nysformer.training.examples import Examples
from nysformer.training.schedule import Schedule

__all__ = ["FinalPhase", "NumberedBatches", "Place", "PlacedExamples"]

Place = tuple[int, int, int]
"""Of an example: the epoch and the batch it is asked for, which what a collator draws follows from, and its index."""


class FinalPhase(TrainerCallback, ExportableState):
    """When the last share of a run begins, by steps or by time as comes first; checkpoints carry it.

    Args:
        share: of the run, from 0 to below 1.
        schedule: tells how far the run is.
        batches: of the examples of this phase.
    """

    def __init__(self, share: float, schedule: Schedule, batches: TokenBudgetBatchSampler) -> None:
        self.share = share
        self.schedule = schedule
        self.batches = batches
        self.first: int | None = None
        self._done = 0
        self._epoch: tuple[int, list[list[int]]] | None = None

    def resume(self, state: TrainerState) -> None:
        """Take up what a checkpoint says."""
        saved = state.stateful_callbacks.get(type(self).__name__)
        if isinstance(saved, dict):
            self.first = saved["attributes"]["first"]
        self._done = state.global_step

    def state(self) -> dict[str, Any]:
        """As checkpoints carry it."""
        return {"args": {}, "attributes": {"first": self.first}}

    def batch(self, step: int) -> list[int] | None:
        """The examples of a step, counted from 0; None in the phase before.

        Steps are asked for in order, those of a resumed run that are done already among them.
        """
        if self.first is None and step >= self._done and self.schedule.progress(step) >= 1 - self.share:
            self.first = step
        if self.first is None or step < self.first:
            return None
        epoch, place = divmod(step - self.first, len(self.batches))
        if self._epoch is None or self._epoch[0] != epoch:
            self.batches.set_epoch(epoch)
            self._epoch = epoch, list(self.batches)
        return self._epoch[1][place]


class NumberedBatches(Sampler[list[Place]]):
    """Batches of places.

    Args:
        batches: of the examples.
        count: examples there are.
        final: whose batches take their place once it begins; its examples are numbered after the others.
    """

    def __init__(self, batches: TokenBudgetBatchSampler, count: int, final: FinalPhase | None = None) -> None:
        self.batches = batches
        self.count = count
        self.final = final

    def set_epoch(self, epoch: int) -> None:
        self.batches.set_epoch(epoch)

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[list[Place]]:
        epoch = self.batches.epoch
        for number, batch in enumerate(self.batches):
            late = None if self.final is None else self.final.batch(epoch * len(self) + number)
            yield [
                (epoch, number, index) for index in (batch if late is None else [self.count + each for each in late])
            ]


class PlacedExamples(Dataset[tuple[int, int, Example]]):
    """Examples with the epoch and the batch they are asked for.

    Args:
        parts: of the phases, numbered one after the other.
    """

    def __init__(self, *parts: Examples) -> None:
        self.parts = parts

    def __len__(self) -> int:
        return len(self.parts[0])

    def __getitem__(self, place: Place) -> tuple[int, int, Example]:
        epoch, batch, index = place
        for part in self.parts:
            if index < len(part):
                return epoch, batch, part[index]
            index -= len(part)
        raise IndexError(f"there is no example {place[2]}")
