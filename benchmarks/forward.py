"""What a forward pass costs beside the limit and the peers, one document at a time."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from torch import Tensor, nn

from benchmarks.bars import at_least, at_most
from benchmarks.candidates import BASE, CANDIDATES, NOTES, Candidate, Size, check_length, forward_task
from benchmarks.record import Record, show_table
from benchmarks.timing import Timing, time_interleaved
from nysformer.errors import NysformerError

__all__ = ["measure_forward"]

# A document's tokens in one turn: short documents take several turns' calls, long ones fewer turns.
_TOKENS_A_TURN = 4096
_PEER = "transformers float32"
# Of our numbers to transformers', relative to its largest: rounding in that precision, with room for its accumulation.
_AGREEMENT = {"float32": 1e-3, "bfloat16": 0.1, "int8": 0.3}

# Half of its layers read the whole document: at 16,384 tokens it alone would take over a minute.
_LONGEST_MODERNBERT = 4096


def measure_forward(
    lengths: Sequence[int] = (512, 4096, 16384),
    rounds: int = 4,
    size: Size = BASE,
    compiled_length: int | None = 4096,
) -> Record:
    """Time one document through every candidate, at each length.

    Args:
        lengths: in tokens, multiples of the landmarks.
        rounds: at 4,096 tokens; shorter documents are called more often a round, longer ones have fewer rounds, two at
            least.
        size: of the models.
        compiled_length: where the compiled form is measured, too; compiling takes a minute. None for nowhere.

    Raises:
        NysformerError: a length transformers cannot have, or numbers that disagree with transformers'.
    """
    lengths = sorted(set(lengths))
    for length in lengths:
        check_length(length, size)
    size = replace(size, positions=max(lengths))
    candidates = [
        candidate
        for candidate in CANDIDATES
        if candidate.is_available() and (candidate.family != "nysformer compiled" or compiled_length in lengths)
    ]
    # transformers' form is of one length: it is built at each.
    models = {each: each.build(size, max(lengths)) for each in candidates if each.family != "transformers"}
    rows: list[dict[str, Any]] = []
    bars: list[dict[str, Any]] = []
    for length in lengths:
        here = {
            candidate: models.get(candidate) or candidate.build(size, length)
            for candidate in candidates
            if (candidate.family != "nysformer compiled" or length == compiled_length)
            and (candidate.family != "ModernBERT" or length <= _LONGEST_MODERNBERT)
        }
        differences = _check_agreement(here, size, length)
        timings = time_interleaved(
            {candidate.name: forward_task(model, size, length) for candidate, model in here.items()},
            rounds=max(2, math.ceil(rounds * _TOKENS_A_TURN / length)) if length > _TOKENS_A_TURN else rounds,
            calls=max(1, _TOKENS_A_TURN // length),
            warm_up=False,  # the check has called each
            title=f"forward, {length:,} tokens",
        )
        rows += [_row(length, candidate, timings, differences) for candidate in here]
        bars += _bars(length, timings)
    show_table("Forward, one document; ratios above 1 are slower than the limit, faster than the peer", rows)
    show_table("Bars", bars)
    notes = {**NOTES, "layers": size.layers, "hidden_size": size.hidden, "landmarks": size.landmarks, "rounds": rounds}
    notes["left out"] = f"ModernBERT past {_LONGEST_MODERNBERT:,} tokens, for time"
    return Record("forward", "python -m benchmarks forward", rows, notes, bars)


def _check_agreement(models: Mapping[Candidate, nn.Module], size: Size, length: int) -> dict[str, float]:
    """Call each candidate once; our largest difference to transformers' numbers: no speed of wrong numbers."""
    outputs: dict[str, Tensor] = {}
    for candidate, model in models.items():
        output = forward_task(model, size, length)()
        if candidate.family in ("nysformer", "nysformer optimized", "nysformer compiled", "transformers"):
            outputs[candidate.name] = output.float()
    truth = outputs.pop(_PEER)
    differences = {name: float((output - truth).abs().max() / truth.abs().max()) for name, output in outputs.items()}
    for candidate in models:
        difference = differences.get(candidate.name)
        if difference is not None and not difference <= _AGREEMENT[candidate.precision]:
            raise NysformerError(
                f"forward: {candidate.name} is {difference:.1g} from transformers' numbers at {length:,} tokens; "
                "its speed means nothing; fix it first"
            )
    return differences


def _row(
    length: int, candidate: Candidate, timings: Mapping[str, Timing], differences: Mapping[str, float]
) -> dict[str, Any]:
    own = timings[candidate.name]

    def ratio(other: str) -> float | None:
        return timings[other].wall / own.wall if other in timings else None

    return {
        "length": length,
        "candidate": candidate.name,
        "wall_s": own.wall,
        "cpu_s": own.cpu,
        "to_limit": own.wall / timings[f"limit {_float(candidate.precision)}"].wall,
        "faster_than_transformers": ratio(_PEER),
        "faster_than_bert": ratio(f"BERT {_float(candidate.precision)}"),
        "difference": differences.get(candidate.name),
    }


def _float(precision: str) -> str:
    """The floating-point dtype around a precision's products."""
    return "bfloat16" if precision == "int8" else precision


def _bars(length: int, timings: Mapping[str, Timing]) -> list[dict[str, Any]]:
    """What issue and README hold the figures to; only at the lengths a bar is about."""
    bars = []

    def against(name: str, other: str, bound: float) -> None:
        if name in timings and other in timings:
            figure = timings[other].wall / timings[name].wall
            bars.append(at_least(f"{length:,} tokens: {name}, times as fast as {other}", figure, bound))

    def within(name: str, other: str, bound: float) -> None:
        if name in timings and other in timings:
            figure = timings[name].wall / timings[other].wall
            bars.append(at_most(f"{length:,} tokens: {name}, time to {other}", figure, bound))

    if length in (512, 4096, 16384):
        within("nysformer float32", "limit float32", 1.25 if length == 4096 else 1.30)
        within("nysformer optimized float32", "limit float32", 1.15 if length == 4096 else 1.20)
        within("nysformer optimized bfloat16", "limit bfloat16", 1.20)
    if length in (4096, 16384):
        against("nysformer float32", _PEER, 1.6 if length == 4096 else 1.8)
        for precision in ("bfloat16", "int8"):
            against(f"nysformer optimized {precision}", _PEER, 3.7 if length == 4096 else 4.2)
    for form in ("nysformer", "nysformer optimized"):
        for precision in ("float32", "bfloat16"):
            ours, bert = f"{form} {precision}", f"BERT {precision}"
            if length == 512:
                within(ours, bert, 1.05)
            elif length in (4096, 16384):
                against(ours, bert, 1.7 if length == 4096 else 3.5)
    return bars
