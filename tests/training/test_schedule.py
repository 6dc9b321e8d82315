"""The learning rate rises, falls and ends with the run that is really there."""

import pytest

from nysformer.training.schedule import Clock, Schedule


class Time:
    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


def test_the_clock_counts_all_sessions_and_stands_until_it_is_started() -> None:
    time = Time()
    clock = Clock(spent=40.0, now=time)
    time.seconds += 7
    assert clock.elapsed() == 40
    clock.start()
    time.seconds += 5
    assert clock.elapsed() == 45


@pytest.mark.parametrize("warmup_share", [0.0, 0.1, 0.5, 0.9])
def test_by_steps_it_rises_then_falls_linearly_and_is_never_zero(warmup_share: float) -> None:
    schedule = Schedule(steps=100, warmup_share=warmup_share, clock=Clock())
    factors = [schedule.factor(step) for step in range(100)]
    top = factors.index(max(factors))
    assert top == pytest.approx(100 * warmup_share, abs=1)
    assert factors[: top + 1] == sorted(factors[: top + 1])
    assert factors[top:] == sorted(factors[top:], reverse=True)
    assert min(factors) > 0
    assert 1 - 1 / (100 * max(0.1, warmup_share)) <= max(factors) <= 1
    assert schedule.factor(100) == 0, "one step more than there are"


def test_with_a_limit_the_time_leads_where_it_is_ahead_of_the_steps() -> None:
    time = Time()
    schedule = Schedule(steps=1000, warmup_share=0.0, clock=Clock(now=time), limit=60.0)
    schedule.clock.start()
    for seconds in (0, 15, 30, 45, 60):
        time.seconds = 1000.0 + seconds
        assert schedule.factor(0) == pytest.approx(1 - seconds / 60, abs=2e-3)
        assert schedule.factor(899) <= 0.11
        assert schedule.time_is_up() == (seconds == 60)
    time.seconds += 100
    assert schedule.factor(0) == 0
    assert schedule.progress(0) == 1


def test_a_later_session_goes_on_where_the_earlier_one_stood() -> None:
    time = Time()
    whole = Schedule(steps=1000, warmup_share=0.2, clock=Clock(now=time), limit=60.0)
    whole.clock.start()
    time.seconds += 25
    resumed = Schedule(steps=1000, warmup_share=0.2, clock=Clock(spent=25.0, now=time), limit=60.0)
    assert resumed.factor(10) == whole.factor(10)
    resumed.clock.start()
    time.seconds += 20
    assert resumed.factor(20) == pytest.approx(whole.factor(20))
