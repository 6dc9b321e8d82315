"""Every candidate is a row at each length, ratios follow from the times, and wrong numbers are never timed."""

import pytest

from benchmarks import forward
from benchmarks.candidates import CANDIDATES, Size
from benchmarks.timing import Timing
from nysformer.errors import NysformerError


def test_rows_and_ratios(size: Size) -> None:
    record = forward.measure_forward(lengths=(32, 64), rounds=1, size=size, compiled_length=None)
    names = [each.name for each in CANDIDATES if each.is_available() and each.family != "nysformer compiled"]
    assert [(row["length"], row["candidate"]) for row in record.rows] == [(n, name) for n in (32, 64) for name in names]
    rows = {(row["length"], row["candidate"]): row for row in record.rows}
    ours, theirs, limit, bert = (
        rows[64, f"{family} float32"] for family in ("nysformer", "transformers", "limit", "BERT")
    )
    assert ours["to_limit"] == ours["wall_s"] / limit["wall_s"]
    assert ours["faster_than_transformers"] == theirs["wall_s"] / ours["wall_s"]
    assert ours["faster_than_bert"] == bert["wall_s"] / ours["wall_s"]
    assert limit["to_limit"] == theirs["faster_than_transformers"] == 1
    assert ours["difference"] < 1e-5
    assert theirs["difference"] is None
    assert record.bars == []  # none is about these lengths


def test_wrong_numbers_are_not_timed(size: Size, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(forward._AGREEMENT, "float32", 0.0)
    with pytest.raises(NysformerError, match="its speed means nothing"):
        forward.measure_forward(lengths=(64,), rounds=1, size=size, compiled_length=None)


def test_bars_of_the_issue() -> None:
    seconds = {
        "limit float32": 1.0,
        "limit bfloat16": 0.4,
        "nysformer float32": 1.2,
        "nysformer bfloat16": 0.5,
        "nysformer optimized float32": 1.0,
        "nysformer optimized bfloat16": 0.48,
        "nysformer optimized int8": 0.3,
        "transformers float32": 2.0,
        "BERT float32": 2.5,
        "BERT bfloat16": 1.0,
    }
    timings = {name: Timing(wall=wall, cpu=wall) for name, wall in seconds.items()}
    bars = {bar["bar"]: bar for bar in forward._bars(4096, timings)}
    assert bars["4,096 tokens: nysformer float32, time to limit float32"]["figure"] == 1.2
    assert bars["4,096 tokens: nysformer optimized float32, time to limit float32"]["bound"] == "<= 1.15"
    assert bars["4,096 tokens: nysformer optimized int8, times as fast as transformers float32"]["holds"] == "yes"
    assert bars["4,096 tokens: nysformer float32, times as fast as BERT float32"]["bound"] == ">= 1.7"
    at_512 = {bar["bar"]: bar for bar in forward._bars(512, timings)}
    assert at_512["512 tokens: nysformer bfloat16, time to BERT bfloat16"]["bound"] == "<= 1.05"
    assert forward._bars(1024, timings) == []


def test_a_length_transformers_cannot_have_is_refused(size: Size) -> None:
    with pytest.raises(NysformerError, match="60 tokens"):
        forward.measure_forward(lengths=(60,), size=size)
