"""The tasks: where their data comes from, and how the paper trains on them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.lra.images import BRIGHTNESSES, PIXELS, images
from benchmarks.lra.listops import VOCABULARY, generate
from benchmarks.lra.sequences import Splits, stored

__all__ = ["TASKS", "Task"]


@dataclass(frozen=True, slots=True)
class Task:
    """A task of the arena, or one beside it.

    Attributes:
        title: for tables.
        load: the splits, from a cache folder and a seed; made or fetched if absent.
        vocabulary: how many different tokens there are.
        positions: tokens of the longest sequence there can be.
        batch, steps, warmup: the paper's batch, training steps, and steps of rising learning rate among them; our own
            where the paper does not have the task.
        published: the paper's test accuracy by attention, in percent; empty where it has none for this task.
    """

    title: str
    load: Callable[[Path, int], Splits]
    vocabulary: int
    positions: int
    batch: int
    steps: int
    warmup: int
    classes: int = 10
    published: Mapping[str, float] = field(default_factory=dict)


def _listops(cache: Path, seed: int) -> Splits:
    recipe = {"task": "listops", "seed": seed}
    return stored(cache / f"listops-{seed}.arrow", recipe, (96_000, 2_000, 2_000), generate(seed))


def _images(cache: Path, seed: int) -> Splits:
    recipe = {"task": "image", "data": "Fashion-MNIST", "seed": seed}
    return stored(cache / f"image-{seed}.arrow", recipe, (55_000, 5_000, 10_000), images(cache, seed))


TASKS: dict[str, Task] = {
    "lra-listops": Task(
        title="ListOps",
        load=_listops,
        vocabulary=len(VOCABULARY),
        positions=2000,
        batch=32,
        steps=5000,
        warmup=1000,
        published={"nystrom": 37.15, "softmax": 37.10},
    ),
    # Other images than the arena's, so that no published figure belongs beside it; a smaller batch, too.
    "lra-image": Task(
        title="Fashion-MNIST pixels",
        load=_images,
        vocabulary=BRIGHTNESSES,
        positions=PIXELS,
        batch=32,
        steps=5000,
        warmup=250,
    ),
}
