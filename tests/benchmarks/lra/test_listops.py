"""Expressions are the arena's: their values by another evaluator, their bounds, the shares that its rule implies."""

import statistics
from itertools import islice

import numpy as np
import pytest

from benchmarks.lra.listops import VOCABULARY, Shape, generate, to_text

SMALL = Shape(max_depth=4, max_arguments=4, longer_than=8, shorter_than=40)


def value(text: str) -> int:
    """By rewriting the text from the inside: the first list without a list in it becomes a digit."""
    words = text.split()
    while len(words) > 1:
        end = words.index("]")
        start = max(place for place in range(end) if words[place].startswith("["))
        operator, digits = words[start], [int(word) for word in words[start + 1 : end]]
        assert len(digits) >= 2
        by_name = {"[MIN": min, "[MAX": max, "[MED": lambda given: int(statistics.median(given))}
        result = by_name[operator](digits) if operator in by_name else sum(digits) % 10
        words[start : end + 1] = [str(result)]
    return int(words[0])


def depths_and_arguments(text: str) -> tuple[int, list[int]]:
    """The depth of the deepest node, the root having 1, and how many arguments each operator has."""
    deepest, open_lists, arguments = 1, [], []
    for word in text.split():
        if word == "]":
            arguments.append(open_lists.pop())
            continue
        if open_lists:
            open_lists[-1] += 1
        deepest = max(deepest, len(open_lists) + 1)
        if word.startswith("["):
            open_lists.append(0)
    return deepest, arguments


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("[MED 1 2 ]", 1),
        ("[MED 9 0 5 ]", 5),
        ("[SM 9 9 [MIN 3 4 ] ]", 1),
        ("[MAX 1 [MED 2 3 4 9 ] ]", 3),
    ],
)
def test_the_evaluator(text: str, result: int) -> None:
    assert value(text) == result


def test_values_and_bounds_of_the_arenas_shape() -> None:
    for tokens, result in islice(generate(1, attempts=512), 40):
        text = to_text(tokens)
        assert value(text) == result
        assert 500 < len(tokens) < 2000
        deepest, arguments = depths_and_arguments(text)
        assert deepest <= 10
        assert min(arguments) >= 2
        assert max(arguments) <= 10


def test_values_of_many_small_ones() -> None:
    examples = list(islice(generate(2, SMALL, attempts=512), 1000))
    assert all(value(to_text(tokens)) == result for tokens, result in examples)
    shapes = [depths_and_arguments(to_text(tokens)) for tokens, _ in examples]
    assert max(depth for depth, _ in shapes) == 4
    assert {count for _, arguments in shapes for count in arguments} == {2, 3, 4}
    assert {len(tokens) for tokens, _ in examples} >= set(range(9, 30))
    assert all(8 < len(tokens) < 40 for tokens, _ in examples)
    assert set(np.concatenate([tokens for tokens, _ in examples]).tolist()) == set(range(len(VOCABULARY)))


def test_the_seed_decides_and_no_expression_comes_twice() -> None:
    first, again, other = (list(islice(generate(seed, SMALL, attempts=64), 300)) for seed in (3, 3, 4))
    assert [tokens.tobytes() for tokens, _ in first] == [tokens.tobytes() for tokens, _ in again]
    assert [tokens.tobytes() for tokens, _ in first] != [tokens.tobytes() for tokens, _ in other]
    assert len({tokens.tobytes() for tokens, _ in first}) == 300


def test_shares_are_those_of_a_recursive_generator() -> None:
    """Lengths of the whole tree, against the definition written as it is spoken."""
    random = np.random.default_rng(0)

    def length(depth: int) -> int:
        if depth == SMALL.max_depth or random.random() > SMALL.operator_share:
            return 1
        return 2 + sum(length(depth + 1) for _ in range(random.integers(2, SMALL.max_arguments + 1)))

    drawn = np.array([length(1) for _ in range(60_000)])
    drawn = drawn[(drawn > SMALL.longer_than) & (drawn < SMALL.shorter_than)]
    made = np.array([len(tokens) for tokens, _ in islice(generate(5, SMALL), 6_000)])
    error = drawn.std() * (1 / len(drawn) + 1 / len(made)) ** 0.5
    assert abs(drawn.mean() - made.mean()) < 4 * error
