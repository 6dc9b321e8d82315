"""ListOps as the Long Range Arena defines it: nested lists of digits under MIN, MAX, MED and SM, and their value.

A node at depth 1 .. 9 is an operator with probability 1/4, else a digit; at depth 10 it is a digit. An operator has 2
to 10 arguments. An expression is kept if it has more than 500 and fewer than 2,000 tokens, which are operators, digits
and closing brackets. The arena's files also hold round brackets, which its tokenizer drops.

Source: Nangia and Bowman 2018 (arXiv 1804.06028); Tay et al. 2020 (arXiv 2011.04006).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["CLASSES", "SHAPE", "VOCABULARY", "Shape", "generate", "to_text"]

CLASSES = 10
OPERATORS = ("[MIN", "[MAX", "[MED", "[SM")
# A token's number is its place here.
VOCABULARY = (*(str(digit) for digit in range(10)), *OPERATORS, "]")
_MIN, _MAX, _MED, _SM = range(10, 14)
_END = 14


@dataclass(frozen=True, slots=True)
class Shape:
    """Which expressions there are.

    Attributes:
        max_depth: of a node; the root has depth 1. A node that deep is a digit.
        max_arguments: of an operator, which has 2 at least.
        operator_share: probability that a node is an operator.
        longer_than, shorter_than: bounds of the number of tokens, themselves excluded.
    """

    max_depth: int = 10
    max_arguments: int = 10
    operator_share: float = 0.25
    longer_than: int = 500
    shorter_than: int = 2000


SHAPE = Shape()


def to_text(tokens: NDArray[np.uint8]) -> str:
    """The expression as it is written.

    Example:
        >>> to_text(np.array([13, 7, 5, 14], dtype=np.uint8))
        '[SM 7 5 ]'
    """
    return " ".join(VOCABULARY[token] for token in tokens)


def generate(seed: int, shape: Shape = SHAPE, *, attempts: int = 8192) -> Iterator[tuple[NDArray[np.uint8], int]]:
    """Distinct expressions and their values, without end, in an order that depends on the seed and `attempts` alone.

    Expressions are drawn `attempts` at a time, a token of each per step. Every round is run to its end, so that short
    expressions, which end first, are no likelier than they should be.

    Args:
        seed: of the random numbers.
        shape: which expressions there are.
        attempts: expressions that are begun together.

    Yields:
        (n,) token numbers and the value, 0 .. 9.
    """
    seen: set[bytes] = set()
    random = np.random.default_rng(seed)
    while True:
        for tokens, value in _round(random, shape, attempts):
            key = tokens.tobytes()
            if key not in seen:
                seen.add(key)
                yield tokens, value


def _round(random: np.random.Generator, shape: Shape, attempts: int) -> list[tuple[NDArray[np.uint8], int]]:
    """The expressions among `attempts` ones that have the right length, in the order they were begun in."""
    # Per expression: how deep it stands, and per depth the operator, how many arguments are to come, and which digits
    # the finished ones were: counts suffice for every operator.
    left = np.zeros((attempts, shape.max_depth), dtype=np.int8)
    operator = np.zeros((attempts, shape.max_depth), dtype=np.uint8)
    counts = np.zeros((attempts, shape.max_depth, 10), dtype=np.int8)
    depth = np.zeros(attempts, dtype=np.intp)  # operators that are open
    place = np.arange(attempts)  # of the live rows in `tokens`
    tokens = np.zeros((attempts, shape.shorter_than), dtype=np.uint8)
    kept: dict[int, tuple[NDArray[np.uint8], int]] = {}
    for step in range(shape.shorter_than):
        rows = np.arange(len(place))
        top = np.maximum(depth - 1, 0)
        ends = (depth > 0) & (left[rows, top] == 0)
        opens = ~ends & (depth < shape.max_depth - 1) & (random.random(len(rows)) < shape.operator_share)
        token = random.integers(0, 10, len(rows), dtype=np.uint8)
        value = token.astype(np.intp)

        closing = rows[ends]
        token[ends] = _END
        value[ends] = _values(operator[closing, top[ends]], counts[closing, top[ends]])
        depth[ends] -= 1

        opening = rows[opens]
        at = depth[opens]
        token[opens] = random.integers(_MIN, _END, len(opening), dtype=np.uint8)
        operator[opening, at] = token[opens]
        left[opening, at] = random.integers(2, shape.max_arguments + 1, len(opening), dtype=np.int8)
        counts[opening, at] = 0
        depth[opens] += 1

        tokens[place, step] = token
        done = ~opens & (depth == 0)
        if step + 1 > shape.longer_than:
            for row in rows[done]:
                if step + 1 < shape.shorter_than:
                    kept[int(place[row])] = tokens[place[row], : step + 1].copy(), int(value[row])
        # A finished node is an argument of the operator around it.
        inside = rows[~opens & (depth > 0)]
        around = depth[inside] - 1
        left[inside, around] -= 1
        counts[inside, around, value[inside]] += 1
        if done.any():
            live = ~done
            left, operator, counts, depth, place = (each[live] for each in (left, operator, counts, depth, place))
        if not len(place):
            break
    return [kept[key] for key in sorted(kept)]


def _values(operator: NDArray[np.uint8], counts: NDArray[np.int8]) -> NDArray[np.intp]:
    """(K,) operators and (K, 10) counts of their arguments to (K,) values."""
    held = counts > 0
    ranks = counts.cumsum(axis=1)
    size = ranks[:, -1:]
    # The mean of the two middle arguments, rounded down; of an odd number both are the same one.
    lower, upper = ((ranks <= middle).sum(axis=1) for middle in ((size - 1) // 2, size // 2))
    return np.select(
        [operator == _MIN, operator == _MAX, operator == _MED],
        [held.argmax(axis=1), 9 - held[:, ::-1].argmax(axis=1), (lower + upper) // 2],
        (counts * np.arange(10)).sum(axis=1) % 10,
    )
