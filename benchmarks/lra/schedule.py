"""The learning rate's share at a step."""

__all__ = ["rate"]


def rate(step: int, steps: int, warmup: int) -> float:
    """Rising linearly over `warmup` steps, then falling linearly to zero after `steps`.

    Example:
        >>> [rate(step, 10, 2) for step in (0, 1, 2, 6)]
        [0.5, 1.0, 1.0, 0.5]
    """
    if step < warmup:
        return (step + 1) / warmup
    return (steps - step) / (steps - warmup)
