"""A closed pipe ends quietly; a full disk is one line."""

import subprocess
import sys
from pathlib import Path

import pytest

CODE = """
import sys
from benchmarks.output import say
from nysformer.errors import NysformerError
try:
    for _ in range(3):
        say("line " * 20_000)
except NysformerError as error:
    sys.exit(f"nysformer: {error}")
"""


def test_a_reader_that_closes_the_pipe_is_no_error() -> None:
    with subprocess.Popen([sys.executable, "-c", CODE], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.read(5) == b"line "
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait() == 0


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_full_disk_is_one_line() -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run([sys.executable, "-c", CODE], stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 1
    assert done.stderr.startswith("nysformer: standard output cannot be written (")
    assert done.stderr.count("\n") == 1
