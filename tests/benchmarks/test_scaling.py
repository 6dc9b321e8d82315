"""Every length is timed over as many tokens."""

import pytest

from benchmarks import scaling
from benchmarks.candidates import Size
from benchmarks.timing import Timing
from nysformer.errors import NysformerError


def test_rows(size: Size) -> None:
    record = scaling.measure_scaling(lengths=(32, 64), rounds=1, size=size, short=(5, 10))
    rows = {(row["candidate"], row["documents"]): row for row in record.rows}
    first, last = rows["nysformer float32", "32"], rows["nysformer float32", "64"]
    assert first["to_first_length"] == 1
    assert last["to_first_length"] == pytest.approx(last["wall_us_a_token"] / first["wall_us_a_token"])
    assert ("nysformer float32", "5 x 10") in rows
    assert record.bars == []


def test_the_bar_is_about_a_token(size: Size, monkeypatch: pytest.MonkeyPatch) -> None:
    def equal_times(tasks: dict[str, object], **options: object) -> dict[str, Timing]:
        return {name: Timing(wall=1.0, cpu=1.0) for name in tasks}

    monkeypatch.setattr(scaling, "time_interleaved", equal_times)
    record = scaling.measure_scaling(lengths=(4096, 65536), size=size)
    assert {bar["figure"] for bar in record.bars} == {1.0}
    short = next(row for row in record.rows if row["documents"] == "200 x 100")
    assert short["wall_us_a_token"] == pytest.approx(1e6 / 20_000)


def test_one_length_is_refused(size: Size) -> None:
    with pytest.raises(NysformerError, match="two different ones"):
        scaling.measure_scaling(lengths=(64, 64), size=size)
