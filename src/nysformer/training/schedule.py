"""How far a run has come, by steps and by time, and the learning rate that goes with it."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

__all__ = ["Clock", "Schedule"]


@dataclass
class Clock:
    """Seconds spent on a run, over all its sessions. It stands still until `start`.

    Attributes:
        spent: seconds of the sessions before this one.
        lead: seconds of the run before its first step, which the schedule of the learning rate leaves out.
        now: seconds of a clock that never goes back.
    """

    spent: float = 0.0
    lead: float = 0.0
    now: Callable[[], float] = time.monotonic
    _since: float | None = field(default=None, init=False)

    def start(self) -> None:
        """Begin a session; once begun, it goes on."""
        if self._since is None:
            self._since = self.now()

    def elapsed(self) -> float:
        """Seconds up to now, over all sessions."""
        return self.spent if self._since is None else self.spent + self.now() - self._since


@dataclass(frozen=True)
class Schedule:
    """Linear warm-up and decay over the run that is really there: the end of its steps or of its time, as comes first.

    Attributes:
        steps: of the whole run.
        warmup_share: of the run, from 0 to below 1, in which the factor rises from 0 to 1.
        clock: of the run.
        limit: seconds the run may take, None for no limit.

    Example:
        >>> schedule = Schedule(steps=9, warmup_share=0.5, clock=Clock())
        >>> [round(schedule.factor(step), 1) for step in range(9)]
        [0.2, 0.4, 0.6, 0.8, 1.0, 0.8, 0.6, 0.4, 0.2]
    """

    steps: int
    warmup_share: float
    clock: Clock
    limit: float | None = None

    def progress(self, step: float) -> float:
        """The larger of the share of the steps and the share of the time for them, from 0 to 1."""
        if self.steps == 0 or self.time_is_up():
            return 1.0
        lead = self.clock.lead
        by_time = (self.clock.elapsed() - lead) / (self.limit - lead) if self.limit else 0.0
        return min(1.0, max(step / self.steps, by_time))

    def time_is_up(self) -> bool:
        """Whether the limit is reached."""
        return self.limit is not None and self.clock.elapsed() >= self.limit

    def factor(self, step: int) -> float:
        """What the highest learning rate is multiplied by in step `step`, counted from 0.

        By steps alone neither the first nor the last step is lost to a rate of zero.
        """
        progress = self.progress((step + 1) * self.steps / (self.steps + 1))
        if progress < self.warmup_share:
            return progress / self.warmup_share
        return (1.0 - progress) / (1.0 - self.warmup_share)
