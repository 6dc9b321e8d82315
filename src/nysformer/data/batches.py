"""Batches by token budget: as many documents as fit a number of real tokens, documents of like length together."""

from collections.abc import Iterator, Sequence

import numpy as np
from torch.utils.data import Sampler

from nysformer.errors import NysformerError

__all__ = ["LENGTH_JITTER", "DrawnBatchSampler", "TokenBudgetBatchSampler"]

LENGTH_JITTER = 0.25
"""Widest shuffle: a document is sorted by its length times a factor drawn from [exp(-0.25), exp(0.25)]."""

_DRAWS = 16


class TokenBudgetBatchSampler(Sampler[list[int]]):
    """Batches of document indices whose real tokens sum to at most a budget; every document once an epoch.

    Padding costs the model nothing, so what a batch costs is its real tokens, and those are what the budget counts. A
    document longer than the budget rides alone. Documents are cut into batches in the order of their length; with
    `shuffle` that order is jittered anew each epoch, so that a document meets other mates, and the batches are then
    shuffled. Both follow from (seed, epoch) alone: an interrupted epoch can be taken up where it stopped.

    Every epoch has the same number of batches, which a trainer needs to know its steps and to find its place again.
    Without `shuffle` the batches come in order of length, shortest first, documents of equal length in their own order.

    Args:
        lengths: real tokens of each document, at least 1.
        tokens_per_batch: the budget, in tokens.
        shuffle: another order each epoch (see `set_epoch`), else the order of length.
        seed: of the shuffle.

    Raises:
        NysformerError: no documents, a length below 1, or a budget below 1.

    Example:
        >>> sampler = TokenBudgetBatchSampler([5, 90, 6, 300], tokens_per_batch=100, shuffle=False)
        >>> list(sampler), len(sampler)
        ([[0, 2], [1], [3]], 3)
    """

    def __init__(self, lengths: Sequence[int], tokens_per_batch: int, *, shuffle: bool = True, seed: int = 0) -> None:
        self.lengths = np.asarray(lengths, dtype=np.int64)
        self.tokens_per_batch = tokens_per_batch
        self.shuffle = shuffle
        self.seed = seed
        self.epoch = 0
        if len(self.lengths) == 0:
            raise NysformerError("batches: there are no documents; give at least one")
        if self.lengths.min() < 1:
            raise NysformerError(f"batches: document {self.lengths.argmin()} has no tokens; leave it out")
        if tokens_per_batch < 1:
            raise NysformerError(f"batches: a budget of {tokens_per_batch} tokens holds nothing; give at least 1")
        self._by_length = self._cut(np.argsort(self.lengths, kind="stable"))

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch, from 0, whose order the next iteration gives."""
        self.epoch = epoch

    def examples(self) -> np.ndarray:
        """The indices that the epoch gives, in rising order."""
        return np.arange(len(self.lengths))

    def __len__(self) -> int:
        """Batches an epoch; the same for every epoch."""
        return len(self._by_length)

    def __iter__(self) -> Iterator[list[int]]:
        if not self.shuffle:
            yield from self._by_length
            return
        rng = np.random.default_rng((self.seed, self.epoch))
        batches = self._jittered(rng)
        for index in rng.permutation(len(batches)):
            yield rng.permutation(batches[index]).tolist()

    def _jittered(self, rng: np.random.Generator) -> list[list[int]]:
        """Batches of a jittered order, exactly as many as of the plain one.

        Another order may need a batch more or less. With fewer, the batch of most documents is halved until the number
        is right; with more, the order is drawn again, closer to the plain one each time. Without any jitter the
        sequence of lengths is the plain one, whatever the order among equals, and so is the number of batches.
        """
        count = len(self)
        log_lengths = np.log(self.lengths)
        tie_break = rng.permutation(len(self.lengths))
        for draw in range(_DRAWS + 1):
            width = LENGTH_JITTER * 0.75**draw if draw < _DRAWS else 0.0
            keys = log_lengths + rng.uniform(-width, width, len(log_lengths))
            batches = self._cut(np.lexsort((tie_break, keys)))
            if len(batches) <= count:
                break
        while len(batches) < count:
            largest = max(range(len(batches)), key=lambda index: len(batches[index]))
            batch = batches[largest]
            batches[largest : largest + 1] = [batch[: len(batch) // 2], batch[len(batch) // 2 :]]
        return batches

    def _cut(self, order: np.ndarray) -> list[list[int]]:
        """Cut an order of documents into batches, each filled until the next document would exceed the budget."""
        batches: list[list[int]] = []
        room = 0
        for index, length in zip(order.tolist(), self.lengths[order].tolist(), strict=True):
            if length > room:
                batches.append([])
                room = self.tokens_per_batch
            batches[-1].append(index)
            room -= length
        return batches


class DrawnBatchSampler(TokenBudgetBatchSampler):
    """Batches of some of each document's pieces, drawn anew each epoch; the draw, too, follows from (seed, epoch).

    Args:
        lengths: (P) real tokens of each piece, those of a document one after the other.
        pieces: (D) of each document, at least 1.
        most: pieces an epoch gives of a document, at least 1.
        tokens_per_batch, seed: see `TokenBudgetBatchSampler`. Every piece counts as its document's longest, since the
            number of batches may not depend on the draw.

    Raises:
        NysformerError: see there.

    Example:
        >>> sampler = DrawnBatchSampler([8, 8, 8, 5], [3, 1], 2, tokens_per_batch=100)
        >>> for epoch in range(3):
        ...     sampler.set_epoch(epoch)
        ...     print(sampler.examples(), sorted(next(iter(sampler))))
        [0 1 3] [0, 1, 3]
        [1 2 3] [1, 2, 3]
        [0 1 3] [0, 1, 3]
    """

    def __init__(
        self, lengths: Sequence[int], pieces: Sequence[int], most: int, tokens_per_batch: int, *, seed: int = 0
    ) -> None:
        counts = np.asarray(pieces, dtype=np.int64)
        self._document = np.repeat(np.arange(len(counts)), counts)
        self._first = np.cumsum(counts) - counts
        self._drawn = np.minimum(counts, most)
        longest = np.zeros(len(counts), dtype=np.int64)
        np.maximum.at(longest, self._document, np.asarray(lengths, dtype=np.int64))
        super().__init__(np.repeat(longest, self._drawn).tolist(), tokens_per_batch, seed=seed)

    def examples(self) -> np.ndarray:
        rng = np.random.default_rng((self.seed, self.epoch, 1))
        order = np.lexsort((rng.random(len(self._document)), self._document))  # a document's pieces, shuffled
        rank = np.arange(len(order)) - self._first[self._document]
        return np.sort(order[rank < self._drawn[self._document]])

    def __iter__(self) -> Iterator[list[int]]:
        examples = self.examples()
        for batch in super().__iter__():
            yield examples[batch].tolist()
