"""What a training step costs, forward and backward without an optimizer, in time and in memory."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from benchmarks.bars import at_least, at_most
from benchmarks.candidates import BASE, NOTES, Candidate, Size, build_nysformer, check_length
from benchmarks.peak import peak_memory
from benchmarks.record import Record, show_table
from benchmarks.timing import Task, time_interleaved
from nysformer.training.memory import returned_memory

__all__ = ["measure_train"]

_OURS, _PEER = "nysformer float32", "transformers float32"
_CANDIDATES = (
    _OURS,
    "nysformer bfloat16 autocast",
    "nysformer float32, gradient checkpointing",
    "nysformer float32, chunked feed-forward",
    _PEER,
)
_CHUNK = 512


def measure_train(
    lengths: tuple[int, ...] = (4096,), rounds: int = 2, size: Size = BASE, batch: int = 2, memory: bool = True
) -> Record:
    """Time and weigh one step of every candidate: loss, backward, gradients of every weight.

    Args:
        lengths: in tokens, multiples of the landmarks.
        rounds: turns a candidate.
        size: of the models.
        batch: documents a step, all of full length.
        memory: also measure each candidate's peak, in a process of its own.

    Raises:
        NysformerError: a length transformers cannot have.
    """
    for length in lengths:
        check_length(length, size)
    rows: list[dict[str, Any]] = []
    bars: list[dict[str, Any]] = []
    for length in lengths:
        # In processes of their own, before anything large stands in this one.
        peaks = {name: peak_memory(_make_step, name, size, length, batch) if memory else None for name in _CANDIDATES}
        timings = time_interleaved(
            {name: _make_step(name, size, length, batch) for name in _CANDIDATES},
            rounds=rounds,
            title=f"train, {batch} x {length:,} tokens",
        )
        peer, peer_peak = timings[_PEER].wall, peaks[_PEER]
        for name, timing in timings.items():
            peak = peaks[name]
            rows.append(
                {
                    "length": length,
                    "candidate": name,
                    "wall_s": timing.wall,
                    "cpu_s": timing.cpu,
                    "faster_than_transformers": peer / timing.wall,
                    "peak_above_weights_mib": peak,
                    "peak_to_transformers": peak / peer_peak if peak is not None and peer_peak else None,
                }
            )
        ours, peak = timings[_OURS].wall, peaks[_OURS]
        bars.append(at_least(f"{length:,} tokens: {_OURS}, times as fast as {_PEER}", peer / ours, 1.5))
        if peak is not None and peer_peak:
            bars.append(at_most(f"{length:,} tokens: {_OURS}, peak memory to {_PEER}", peak / peer_peak, 0.55))
    show_table(f"Training step, batch {batch}: forward and backward", rows)
    show_table("Bars", bars)
    notes = {
        "transformers": NOTES["transformers"],
        "step": "mean square of the last hidden states, backward into every weight, gradients dropped; dropout 0.1",
        "peak": "resident memory above what stood with the model built: activations, gradients, buffers",
        "gradient checkpointing": "as `nysformer finetune --gradient-checkpointing` runs it: freed memory goes back to "
        "the system",
        "chunk": _CHUNK,
        "layers": size.layers,
        "hidden_size": size.hidden,
        "batch": batch,
        "rounds": rounds,
    }
    return Record("train", "python -m benchmarks train", rows, notes, bars)


def _make_step(name: str, size: Size, length: int, batch: int) -> Task:
    size = replace(size, positions=length)
    model: nn.Module
    if name == _PEER:
        model = Candidate("transformers", "float32").build(size, length)
    else:
        ours = build_nysformer(size, chunk_size_feed_forward=_CHUNK if "chunked" in name else 0)
        if "checkpointing" in name:
            ours.activation_checkpointing_enable()
        model = ours
    model.train()
    ids = torch.randint(10, size.vocabulary, (batch, length), generator=torch.Generator().manual_seed(0))

    def step() -> None:
        with returned_memory() if "checkpointing" in name else nullcontext():
            with torch.autocast("cpu", torch.bfloat16) if "autocast" in name else nullcontext():
                hidden = model(input_ids=ids).last_hidden_state
            hidden.float().square().mean().backward()
            model.zero_grad(set_to_none=True)

    return step
