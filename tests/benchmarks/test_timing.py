"""Candidates take turns, are warmed up once, and only the least times count."""

import gc
import time

import pytest

from benchmarks.timing import time_interleaved
from nysformer.errors import NysformerError


def test_candidates_take_turns() -> None:
    called: list[str] = []
    tasks = {name: lambda name=name: called.append(name) for name in "ab"}
    timings = time_interleaved(tasks, rounds=2, calls=2)
    assert "".join(called) == "ab" + "aabb" * 2
    assert list(timings) == ["a", "b"]
    assert all(timing.wall >= 0 and timing.cpu >= 0 for timing in timings.values())


def test_no_warm_up_where_none_is_wanted() -> None:
    called: list[int] = []
    time_interleaved({"a": lambda: called.append(1)}, rounds=1, warm_up=False)
    assert len(called) == 1


def test_minima_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([0.0, 5.0, 10.0, 12.0, 20.0, 23.0])  # calls of 5, 2 and 3 seconds
    monkeypatch.setattr(time, "perf_counter", lambda: next(clock))
    assert time_interleaved({"a": lambda: None}, rounds=3, warm_up=False)["a"].wall == 2.0


def test_garbage_is_as_before_even_if_a_task_fails() -> None:
    def fail() -> None:
        raise KeyError("task")

    with pytest.raises(KeyError):
        time_interleaved({"a": fail}, rounds=1, warm_up=False)
    assert gc.get_freeze_count() == 0


def test_rounds_are_said_on_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    time_interleaved({"a": lambda: None}, rounds=2, title="forward")
    assert capsys.readouterr() == ("", "forward: round 1 of 2\nforward: round 2 of 2\n")


def test_no_rounds_are_refused() -> None:
    with pytest.raises(NysformerError, match="rounds: 0"):
        time_interleaved({"a": lambda: None}, rounds=0)
