"""Documents a second on a real, ragged corpus: ours in batches of real tokens, transformers' padded as it requires."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from benchmarks.bars import at_least
from benchmarks.candidates import BASE, Size, check_length, find
from benchmarks.record import Record, show_table
from benchmarks.texts import draw_by_length, licence_tokens
from benchmarks.timing import time_interleaved
from nysformer.data.batches import TokenBudgetBatchSampler

__all__ = ["measure_corpus", "measure_documents"]

_OURS = (
    "nysformer float32",
    "nysformer optimized float32",
    "nysformer optimized bfloat16",
    "nysformer optimized int8",
)
_PEER = "transformers float32"
Batch = tuple[Tensor, Tensor | None]

_TOKENS_PER_BATCH = 8192
_VOCABULARY = 30_522


def measure_corpus(rounds: int = 2, documents: int = 48, max_length: int = 4096, size: Size = BASE) -> Record:
    """Encode a sample of the licence texts with models of base size.

    Args:
        rounds: turns a candidate.
        documents: of the sample, which follows the corpus's lengths.
        max_length: tokens a text is cut to, and transformers' are padded to.
        size: of the models.

    Raises:
        NysformerError: a maximum length transformers cannot have, or a missing package.
    """
    check_length(max_length, size)
    everything = licence_tokens(max_length)
    sample = draw_by_length(everything, documents)
    record = measure_documents(sample, rounds=rounds, max_length=max_length, size=replace(size, vocabulary=_VOCABULARY))
    record.notes["corpus_documents"] = len(everything)
    record.notes["corpus_mean_tokens"] = sum(map(len, everything)) / len(everything)
    return record


def measure_documents(sample: Sequence[list[int]], *, rounds: int, max_length: int, size: Size) -> Record:
    """The same on documents of one's own: token ids below `size.vocabulary`, at most `max_length` each."""
    size = replace(size, positions=max_length)
    padded = sample[:: max(1, len(sample) // 8)]  # padded, each costs the same: a few tell
    models = {name: find(name).build(size, max_length) for name in (*_OURS, _PEER) if find(name).is_available()}
    batches = {name: _one_by_one(padded, max_length) if name == _PEER else _by_budget(sample) for name in models}
    for name, model in models.items():
        _encode(model, batches[name][:1])
    timings = time_interleaved(
        {name: partial(_encode, model, batches[name]) for name, model in models.items()},
        rounds=rounds,
        warm_up=False,  # each has seen a batch
        title="corpus",
    )
    counts = {name: len(padded) if name == _PEER else len(sample) for name in timings}
    peer = counts[_PEER] / timings[_PEER].wall
    rows: list[dict[str, Any]] = []
    for name, timing in timings.items():
        rate = counts[name] / timing.wall
        rows.append(
            {
                "candidate": name,
                "documents": counts[name],
                "wall_s": timing.wall,
                "cpu_s": timing.cpu,
                "documents_a_second": rate,
                "faster_than_transformers": rate / peer,
            }
        )
    bounds = {
        "nysformer float32": 5.5,
        "nysformer optimized float32": 5.5,
        "nysformer optimized bfloat16": 14,
        "nysformer optimized int8": 14,
    }
    bars = [
        at_least(f"{row['candidate']}, documents a second to {_PEER}", row["faster_than_transformers"], bound)
        for row in rows
        if (bound := bounds.get(row["candidate"])) is not None
    ]
    show_table("Licence texts, documents a second", rows)
    show_table("Bars", bars)
    lengths = sorted(map(len, sample))
    notes = {
        "transformers": f"one document at a time, padded to {max_length:,} without a mask, with which it fails; timed "
        f"on {len(padded)} of the documents, since padded they all cost the same",
        "nysformer": f"batches of up to {_TOKENS_PER_BATCH:,} real tokens, documents of like length together",
        "sample_mean_tokens": sum(lengths) / len(lengths),
        "sample_median_tokens": lengths[len(lengths) // 2],
        "layers": size.layers,
        "hidden_size": size.hidden,
        "rounds": rounds,
    }
    return Record("corpus", "python -m benchmarks corpus", rows, notes, bars)


def _by_budget(sample: Sequence[list[int]]) -> list[Batch]:
    """(B, N) ids and mask of batches of like length."""
    batches: list[Batch] = []
    for places in TokenBudgetBatchSampler([len(ids) for ids in sample], _TOKENS_PER_BATCH, shuffle=False):
        ids = pad_sequence([torch.tensor(sample[place]) for place in places], batch_first=True)
        lengths = torch.tensor([len(sample[place]) for place in places])
        batches.append((ids, torch.arange(ids.shape[1]) < lengths[:, None]))
    return batches


def _one_by_one(sample: Sequence[list[int]], max_length: int) -> list[Batch]:
    """(1, max_length) ids, a document each, without a mask."""
    return [(torch.tensor([ids + [0] * (max_length - len(ids))]), None) for ids in sample]


@torch.inference_mode()
def _encode(model: nn.Module, batches: Sequence[Batch]) -> None:
    for ids, mask in batches:
        model(input_ids=ids, attention_mask=mask)
