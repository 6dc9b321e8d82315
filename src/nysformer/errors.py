"""The errors that speak to a user: what is wrong, where, and how to fix it, in one line."""

__all__ = ["Interrupted", "MissingColumn", "NysformerError"]


class NysformerError(ValueError):
    """Input or options that the user can fix.

    The message is one line that says what is wrong, where, and what to do about it. The command line prints it
    without a traceback and exits with code 2; a library caller can catch it as a `ValueError`.
    """


class MissingColumn(NysformerError):
    """Rows lack a column that the task needs.

    Args:
        line: the message.
        columns: what the rows have.
    """

    def __init__(self, line: str, columns: tuple[str, ...] = ()) -> None:
        super().__init__(line)
        self.columns = columns


class Interrupted(KeyboardInterrupt):
    """Ctrl-C, with a message: what was kept and how to go on.

    The command line prints the message without a traceback and exits with code 130; a library caller catches it as the
    `KeyboardInterrupt` it is.

    Example:
        >>> str(Interrupted("stopped at step 120; resume with resume=True"))
        'stopped at step 120; resume with resume=True'
    """
