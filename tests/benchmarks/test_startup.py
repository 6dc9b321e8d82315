"""Starting: every command line works, and the bars are about what they say."""

import subprocess
import sys

import pytest

from benchmarks import startup
from benchmarks.timing import Timing


def test_bars(monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = dict(zip(startup._CODE, (0.1, 4.0, 4.4, 0.6), strict=True))
    monkeypatch.setattr(
        startup, "time_interleaved", lambda tasks, **options: {name: Timing(seconds[name], 1.0) for name in tasks}
    )
    record = startup.measure_startup()
    assert [bar["figure"] for bar in record.bars] == pytest.approx([1.1, 0.5])
    assert [row["to_transformers"] for row in record.rows] == pytest.approx([0.025, 1, 1.1, 0.15])


@pytest.mark.parametrize("name", [startup._BARE, startup._HELP])
def test_code_runs(name: str) -> None:
    startup._start(startup._CODE[name])()


def test_a_failing_start_is_not_timed() -> None:
    with pytest.raises(subprocess.CalledProcessError):
        startup._start("import sys; sys.exit(1)")()


def test_both_imports_are_of_the_same_classes() -> None:
    namespace: dict[str, object] = {}
    exec(startup._CODE[startup._OURS], namespace)
    assert all(name in namespace for name in startup._CLASSES.split(", "))
    assert "transformers" in sys.modules
