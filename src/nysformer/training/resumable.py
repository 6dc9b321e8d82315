"""What stands of a run that could not go on, and how to resume it: one line in place of a traceback."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from nysformer.errors import Interrupted, NysformerError
from nysformer.files.failures import write_failure
from nysformer.training.folder import RunFolder

__all__ = ["while_reading", "while_training"]


@contextmanager
def while_reading(folder: RunFolder) -> Iterator[None]:
    """Before anything is written: let Ctrl-C say so.

    Raises:
        Interrupted: in place of a `KeyboardInterrupt`.
    """
    try:
        yield
    except Interrupted:
        raise
    except KeyboardInterrupt as error:
        raise Interrupted(
            f"{folder.path}: interrupted before the training; nothing was changed: start it again"
        ) from error


@contextmanager
def while_training(folder: RunFolder) -> Iterator[None]:
    """Let Ctrl-C, or a write that failed, say what stands of the run and how to go on.

    Raises:
        Interrupted: in place of a `KeyboardInterrupt`.
        NysformerError: in place of what the libraries raise that write models, optimizers and logs.
    """
    with _quiet_log_writer():
        try:
            yield
        except KeyboardInterrupt as error:
            raise Interrupted(f"{folder.path}: interrupted; {_standing(folder)}") from error
        except Exception as error:
            reason = write_failure(error)
            if reason is None:
                raise
            named = str(error).partition(": cannot be written")[0] if isinstance(error, NysformerError) else None
            place = named or getattr(error, "filename", None) or folder.path
            stands = _standing(
                folder, "once this is fixed, "
            )  # removes what was written by half, which may give some room already
            raise NysformerError(f"{place}: cannot be written ({reason}); {stands}") from error


def _standing(folder: RunFolder, when: str = "") -> str:
    """What stands of the run, and how to go on, and when that will help; half a checkpoint is removed."""
    if not folder.holds_run():
        return f"nothing was trained: {when}start it again"
    with suppress(OSError, NysformerError):
        for each, name in ((folder, "step"), (RunFolder(folder.adapted), "the adaptation's step")):
            last = each.last_state()
            if last is not None:
                step = f"{name} {last[1]['global_step']:,}"
                return f"the checkpoint of {step} is whole: {when}go on from it with resume=True"
        if "adapted" in folder.read_json("run.json"):
            return f"the adaptation is whole: {when}go on from it with resume=True"
    return f"no checkpoint was whole yet: {when}start over with resume=True"


@contextmanager
def _quiet_log_writer() -> Iterator[None]:
    """Without the traceback of TensorBoard's thread where the disk is full: its next call raises the same error."""
    usual = threading.excepthook

    def hook(failure: threading.ExceptHookArgs) -> None:
        if failure.exc_value is None or write_failure(failure.exc_value) is None:
            usual(failure)

    threading.excepthook = hook
    try:
        yield
    finally:
        threading.excepthook = usual
