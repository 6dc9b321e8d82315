"""Every document once an epoch, within the budget, like lengths together, another order each epoch."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nysformer.data.batches import LENGTH_JITTER, DrawnBatchSampler, TokenBudgetBatchSampler
from nysformer.errors import NysformerError

LENGTHS = st.lists(st.integers(1, 5000), min_size=1, max_size=80)
BUDGETS = st.integers(1, 9000)


@given(LENGTHS, BUDGETS, st.booleans(), st.integers(0, 2**32 - 1), st.integers(0, 50))
def test_an_epoch_holds_every_document_once_within_the_budget(
    lengths: list[int], budget: int, shuffle: bool, seed: int, epoch: int
) -> None:
    sampler = TokenBudgetBatchSampler(lengths, budget, shuffle=shuffle, seed=seed)
    sampler.set_epoch(epoch)
    batches = list(sampler)
    assert sorted(itertools.chain(*batches)) == list(range(len(lengths)))
    assert all(len(batch) == 1 or sum(lengths[i] for i in batch) <= budget for batch in batches)
    assert all(batches), "an empty batch"
    assert len(batches) == len(sampler), "a trainer counts its steps by the length"


@given(LENGTHS, BUDGETS, st.integers(0, 2**32 - 1), st.integers(0, 50))
def test_documents_of_like_length_ride_together(lengths: list[int], budget: int, seed: int, epoch: int) -> None:
    sampler = TokenBudgetBatchSampler(lengths, budget, shuffle=True, seed=seed)
    sampler.set_epoch(epoch)
    spans = sorted(((min(lengths[i] for i in b), max(lengths[i] for i in b)) for b in sampler), key=sum)
    slack = math.exp(2 * LENGTH_JITTER) * (1 + 1e-9)
    for (low_a, high_a), (low_b, high_b) in itertools.combinations(spans, 2):
        assert high_a <= low_b * slack or high_b <= low_a * slack, "two batches overlap by more than the jitter"


@given(LENGTHS, BUDGETS, st.integers(0, 2**32 - 1), st.integers(0, 50))
def test_the_order_follows_from_seed_and_epoch_alone(lengths: list[int], budget: int, seed: int, epoch: int) -> None:
    first = TokenBudgetBatchSampler(lengths, budget, seed=seed)
    list(first)
    first.set_epoch(epoch)
    second = TokenBudgetBatchSampler(lengths, budget, seed=seed)
    second.set_epoch(epoch)
    assert list(first) == list(second)
    assert list(first) == list(second), "iterating must not move the order on"


def test_epochs_differ_in_batches_and_in_their_order() -> None:
    lengths = [100 + i % 37 for i in range(400)]
    sampler = TokenBudgetBatchSampler(lengths, 1200)
    epochs = []
    for epoch in range(3):
        sampler.set_epoch(epoch)
        epochs.append(list(sampler))
    mates = [{frozenset(batch) for batch in batches} for batches in epochs]
    assert all(len(a & b) < len(a) // 4 for a, b in itertools.combinations(mates, 2)), "the same documents together"
    first_lengths = [lengths[batch[0]] for batch in epochs[0]]
    assert first_lengths != sorted(first_lengths)


def test_seeds_differ() -> None:
    lengths = list(range(1, 60))
    assert list(TokenBudgetBatchSampler(lengths, 200, seed=1)) != list(TokenBudgetBatchSampler(lengths, 200, seed=2))


def test_without_shuffle_shortest_first_and_ties_in_their_own_order() -> None:
    assert list(TokenBudgetBatchSampler([3, 1, 3, 1, 9], 4, shuffle=False)) == [[1, 3], [0], [2], [4]]


def test_the_budget_is_used() -> None:
    lengths = [50 + i % 100 for i in range(2000)]
    sampler = TokenBudgetBatchSampler(lengths, 4096)
    assert len(sampler) <= 1.05 * sum(lengths) / 4096


@pytest.mark.parametrize(
    ("lengths", "budget", "words"), [([], 10, "no documents"), ([3, 0], 10, "document 1"), ([3], 0, "budget of 0")]
)
def test_what_cannot_be_batched_is_refused(lengths: list[int], budget: int, words: str) -> None:
    with pytest.raises(NysformerError, match=words):
        TokenBudgetBatchSampler(lengths, budget)


@given(
    st.lists(st.tuples(st.integers(1, 900), st.integers(1, 6)), min_size=1, max_size=30),
    BUDGETS,
    st.integers(1, 4),
    st.integers(0, 2**32 - 1),
    st.integers(0, 50),
)
def test_a_draw_gives_so_many_pieces_of_each_document(
    documents: list[tuple[int, int]], budget: int, most: int, seed: int, epoch: int
) -> None:
    pieces = [count for _, count in documents]
    lengths = [length for length, count in documents for _ in range(count)]
    sampler = DrawnBatchSampler(lengths, pieces, most, budget, seed=seed)
    sampler.set_epoch(epoch)
    batches = list(sampler)
    drawn = sorted(itertools.chain(*batches))
    assert drawn == sampler.examples().tolist()
    owner = np.repeat(np.arange(len(pieces)), pieces)
    assert len(set(drawn)) == len(drawn)
    assert np.bincount(owner[drawn], minlength=len(pieces)).tolist() == [min(count, most) for count in pieces]
    assert all(len(batch) == 1 or sum(lengths[i] for i in batch) <= budget for batch in batches)
    assert len(batches) == len(sampler), "a trainer counts its steps by the length"
    again = DrawnBatchSampler(lengths, pieces, most, budget, seed=seed)
    again.set_epoch(epoch)
    assert list(again) == batches


def test_each_epoch_draws_anew_and_pieces_may_differ_in_length() -> None:
    sampler = DrawnBatchSampler([9, 10, 3] * 20, [3] * 20, 1, 40)
    seen = []
    for epoch in range(8):
        sampler.set_epoch(epoch)
        batches = list(sampler)
        assert len(batches) == len(sampler) == 5
        seen += itertools.chain(*batches)
    assert len(set(seen)) > 50
