"""Ctrl-C and a request to terminate are not lost where Python ignores exceptions."""

import signal
import subprocess
import sys
import threading

import pytest

from nysformer.cli.signals import TERMINATED, stoppable

PROGRAM = """
import signal, sys, time, weakref
from nysformer.cli.signals import stoppable

class Slow:
    def __del__(self):
        print("destroying", flush=True)
        time.sleep(60)

class Plain:
    pass

def slow(_):
    print("called back", flush=True)
    time.sleep(60)

with stoppable():
    try:
        if sys.argv[1] == "destructor":
            one = Slow()
        else:
            one = Plain()
            reference = weakref.ref(one, slow)
        del one
        time.sleep(60)
    except KeyboardInterrupt:
        sys.exit(130)
"""


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, TERMINATED)])
@pytest.mark.parametrize("place", ["destructor", "callback"])
def test_a_signal_in_what_ignores_exceptions_arrives(place: str, number: signal.Signals, code: int) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, place], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    process.stdout.readline()
    process.send_signal(number)
    _, said = process.communicate(timeout=50)
    assert (process.returncode, said) == (code, "")


def test_other_exceptions_are_shown_as_before(capsys: pytest.CaptureFixture[str]) -> None:
    class Broken:
        def __del__(self) -> None:
            raise ValueError("of mine")

    before, shown = sys.unraisablehook, []
    sys.unraisablehook = shown.append
    try:
        with stoppable():
            Broken()
        assert sys.unraisablehook == shown.append
    finally:
        sys.unraisablehook = before
    assert [str(each.exc_value) for each in shown] == ["of mine"]


def test_only_the_main_thread_has_signals() -> None:
    before = sys.unraisablehook
    seen = []

    def run() -> None:
        with stoppable():
            seen.append(sys.unraisablehook)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert seen == [before]
