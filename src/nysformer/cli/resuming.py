"""What a stopped run says on the command line: the library's line, with the command that goes on in it."""

import shlex
import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console

from nysformer.cli.signals import TERMINATED
from nysformer.errors import Interrupted, NysformerError

__all__ = ["resume_command", "saying_how_to_go_on"]


def resume_command(name: str, arguments: Sequence[str]) -> str:
    """The command that goes on with what `name` with those arguments began.

    Example:
        >>> resume_command("finetune", ["--output", "my run", "--overwrite"])
        "nysformer finetune --output 'my run' --resume"
    """
    kept = [argument for argument in arguments if argument not in ("--resume", "--overwrite")]
    return shlex.join(["nysformer", name, *kept, "--resume"])


@contextmanager
def saying_how_to_go_on(command: str, in_place_of: str = "with resume=True") -> Iterator[None]:
    """Let what the block raises name a command; a request to terminate is like Ctrl-C.

    Args:
        command: that goes on with the run.
        in_place_of: what a Python caller is told.

    Raises:
        Interrupted, NysformerError: with the command.
        SystemExit: with code 143 where the process was asked to terminate, after a line on standard error.
    """
    terminated = False

    def terminate(*_: object) -> None:
        nonlocal terminated
        terminated = True
        raise KeyboardInterrupt

    in_main_thread = threading.current_thread() is threading.main_thread()
    before = signal.signal(signal.SIGTERM, terminate) if in_main_thread else None
    try:
        yield
    except KeyboardInterrupt as error:
        line = str(error).replace(in_place_of, f"with: {command}")
        if not terminated:
            raise Interrupted(line or "interrupted") from None
        Console(stderr=True).print(f"nysformer: {line}", markup=False, highlight=False, soft_wrap=True)
        raise SystemExit(TERMINATED) from None
    except NysformerError as error:
        if in_place_of not in str(error):
            raise
        raise NysformerError(str(error).replace(in_place_of, f"with: {command}")) from error
    finally:
        if in_main_thread:
            signal.signal(signal.SIGTERM, before)
