"""`NystromAttention` beside the package it replaces, on bags of patches as multiple-instance learners read them.

Shapes: N patches a bag, C channels, M landmarks.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import nystrom_attention
import torch
from torch import nn

from benchmarks.bars import at_least
from benchmarks.peak import peak_memory
from benchmarks.record import Record, show_table
from benchmarks.timing import Task, time_interleaved
from nysformer.errors import NysformerError
from nysformer.layers import NystromAttention

__all__ = ["measure_bags"]

_SIZE: dict[str, Any] = {"dim": 512, "dim_head": 64, "heads": 8, "num_landmarks": 256}
_OURS, _COMPAT, _THEIRS = "nysformer", "nysformer compat", "nystrom-attention"
_AGREEMENT = 1e-4


def measure_bags(lengths: Sequence[int] = (5_000, 20_000, 50_000), rounds: int = 3) -> Record:
    """Time and peak memory of one layer on one bag, forward alone and with its backward pass.

    Args:
        lengths: patches a bag.
        rounds: turns a candidate; minima are kept.

    Raises:
        NysformerError: compat numbers that are not the package's, or a process that was killed.
    """
    rows: list[dict[str, Any]] = []
    bars: list[dict[str, Any]] = []
    for length in sorted(set(lengths)):
        difference = _difference(length)
        if not difference <= _AGREEMENT:
            raise NysformerError(f"bags: compat is {difference:.1g} from the package's numbers; fix that first")
        for backward in (False, True):
            what = "forward and backward" if backward else "forward"
            timings = time_interleaved(
                {name: _make(name, length, backward) for name in (_OURS, _COMPAT, _THEIRS)},
                rounds=rounds,
                title=f"bags, {length:,} patches, {what}",
            )
            peaks = {name: peak_memory(_make, name, length, backward) for name in timings}
            rows += [
                {
                    "patches": length,
                    "pass": what,
                    "candidate": name,
                    "wall_s": timing.wall,
                    "faster": timings[_THEIRS].wall / timing.wall,
                    "peak_mib": peaks[name],
                    "smaller": peaks[_THEIRS] / peaks[name] if peaks[name] else None,
                    "difference": difference if name == _COMPAT else None,
                }
                for name, timing in timings.items()
            ]
            speed = timings[_THEIRS].wall / timings[_OURS].wall
            bars.append(at_least(f"{length:,} patches, {what}: times as fast", speed, 1.0))
            if peaks[_OURS]:
                smaller = peaks[_THEIRS] / peaks[_OURS]
                bars.append(at_least(f"{length:,} patches, {what}: times as small", smaller, 1.0))
    show_table("One layer on one bag, beside nystrom-attention 0.0.14", rows)
    show_table("Bars", bars)
    notes = {**_SIZE, "rounds": rounds, "peak_mib": "above weights and input", "dtype": "float32"}
    return Record("bags", "python -m benchmarks bags", rows, notes, bars)


def _layer(name: str) -> nn.Module:
    torch.manual_seed(0)
    if name == _THEIRS:
        return nystrom_attention.NystromAttention(**_SIZE).eval()
    return NystromAttention(**_SIZE, compat=name == _COMPAT).eval()


def _bag(length: int) -> torch.Tensor:
    return torch.randn(1, length, _SIZE["dim"], generator=torch.Generator().manual_seed(length))


def _make(name: str, length: int, backward: bool) -> Task:
    layer, bag = _layer(name), _bag(length)
    if not backward:
        return torch.inference_mode()(lambda: layer(bag))

    def train() -> None:
        layer.zero_grad()
        layer(bag).square().mean().backward()

    return train


@torch.inference_mode()
def _difference(length: int) -> float:
    """Compat's largest to the package's numbers, relative to their largest."""
    theirs, ours = (_layer(name) for name in (_THEIRS, _COMPAT))
    ours.load_state_dict(theirs.state_dict())
    expected = theirs(_bag(length))
    return float((ours(_bag(length)) - expected).abs().max() / expected.abs().max())
