"""How long things take, side by side: candidates take turns, so that a slow minute falls on all alike."""

from __future__ import annotations

import gc
import os
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from nysformer.errors import NysformerError

__all__ = ["Task", "Timing", "time_interleaved"]

Task = Callable[[], object]


@dataclass(frozen=True, slots=True)
class Timing:
    """The least time a call took, in seconds: by the clock, and summed over the processor's cores."""

    wall: float
    cpu: float


def time_interleaved(
    tasks: Mapping[str, Task], *, rounds: int, calls: int = 1, warm_up: bool = True, title: str = ""
) -> dict[str, Timing]:
    """Call every task once a round, in turn, and keep the minima: other programs only ever add time.

    Args:
        tasks: name -> what to time. What a call returns is freed after its time is taken.
        rounds: turns, at least 1.
        calls: calls a turn, each timed by itself; more for short tasks.
        warm_up: one call each before the first turn, not timed.
        title: what to say on standard error at each turn; nothing if empty.

    Returns:
        name -> wall and CPU seconds, each the minimum over all calls. CPU seconds count child processes that ended.

    Raises:
        NysformerError: no rounds.

    Example:
        >>> sorted(time_interleaved({"sum": lambda: sum(range(10)), "pass": lambda: None}, rounds=2))
        ['pass', 'sum']
    """
    if rounds < 1:
        raise NysformerError(f"rounds: {rounds} is below 1; give 1 or more")
    if warm_up:
        for task in tasks.values():
            task()
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in tasks}
    gc.collect()
    gc.freeze()  # what stands is not looked through again at each turn
    try:
        for turn in range(rounds):
            if title:
                print(f"{title}: round {turn + 1} of {rounds}", file=sys.stderr)
            for name, task in tasks.items():
                gc.collect()
                taken[name] += [_time(task) for _ in range(calls)]
    finally:
        gc.unfreeze()
    return {
        name: Timing(wall=min(wall for wall, _ in times), cpu=min(cpu for _, cpu in times))
        for name, times in taken.items()
    }


def _time(task: Task) -> tuple[float, float]:
    cpu, wall = _cpu_seconds(), time.perf_counter()
    result = task()
    wall, cpu = time.perf_counter() - wall, _cpu_seconds() - cpu
    del result  # freeing it is not part of the task
    return wall, cpu


def _cpu_seconds() -> float:
    """Of this process, threads included, and of its children that ended."""
    times = os.times()
    return time.process_time() + times.children_user + times.children_system
