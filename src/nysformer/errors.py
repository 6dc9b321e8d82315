"""The one error that speaks to a user: what is wrong, where, and the mend, in one line."""

__all__ = ["NysformerError"]


class NysformerError(ValueError):
    """Input or options the user can mend.

    The message is one line that says what is wrong, where, and what to do about it. The command line prints it
    without a traceback and exits with code 2; a library caller can catch it as a `ValueError`.
    """
