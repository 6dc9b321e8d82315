"""A training step is forward and backward of the form its name says."""

import pytest
import torch

from benchmarks import train
from benchmarks.candidates import Size


def test_rows_and_bars(size: Size, monkeypatch: pytest.MonkeyPatch) -> None:
    weighed: list[str] = []

    def peak(make: object, name: str, *arguments: object) -> float:
        weighed.append(name)
        return 100.0 if name.startswith("transformers") else 50.0

    monkeypatch.setattr(train, "peak_memory", peak)
    record = train.measure_train(lengths=(64,), rounds=1, size=size)
    assert [row["candidate"] for row in record.rows] == weighed
    ours = record.rows[0]
    assert ours["peak_to_transformers"] == 0.5
    assert ours["faster_than_transformers"] == record.rows[-1]["wall_s"] / ours["wall_s"]
    speed, memory = record.bars
    assert (speed["bound"], memory["bound"], memory["holds"]) == (">= 1.5", "<= 0.55", "yes")


def test_memory_can_be_left_out(size: Size) -> None:
    record = train.measure_train(lengths=(64,), rounds=1, size=size, memory=False)
    assert {row["peak_above_weights_mib"] for row in record.rows} == {None}
    assert len(record.bars) == 1


def test_the_modes_are_what_they_are_called(size: Size, monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    build = train.build_nysformer
    monkeypatch.setattr(train, "build_nysformer", lambda *a, **k: made.append(build(*a, **k)) or made[-1])
    seen = []
    monkeypatch.setattr(torch.Tensor, "backward", lambda loss: seen.append(loss.dtype))
    for name in train._CANDIDATES[:4]:
        train._make_step(name, size, 64, 2)()
    plain, autocast, checkpointed, chunked = made
    assert all(model.training for model in made)
    assert checkpointed.is_activation_checkpointing
    assert not plain.is_activation_checkpointing
    assert (plain.config.chunk_size_feed_forward, chunked.config.chunk_size_feed_forward) == (0, train._CHUNK)
    assert not autocast.is_activation_checkpointing
    assert seen == [torch.float32] * 4
