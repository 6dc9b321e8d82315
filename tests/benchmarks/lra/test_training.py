"""A run that was cut off ends with the very weights of one that was not."""

import time
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks.lra.model import ModelSize
from benchmarks.lra.sequences import Sequences, Splits
from benchmarks.lra.training import Settings, Training
from nysformer.errors import NysformerError

SIZE = ModelSize(6, 40, classes=2, landmarks=4, convolution=3, width=8, feed_forward=8)
SETTINGS = Settings(SIZE, steps=7, warmup=2, batch=4, valid_every=3, pretrain_steps=3, learning_rate=0.01)


def sequences(count: int, seed: int) -> Sequences:
    random = np.random.default_rng(seed)
    lengths = random.integers(5, 40, count)
    tokens = random.integers(0, 6, lengths.sum(), dtype=np.uint8)
    return Sequences(tokens, np.cumsum([0, *lengths]), random.integers(0, 2, count, dtype=np.uint8))


@pytest.fixture
def splits() -> Splits:
    return Splits(sequences(18, 0), sequences(9, 1), sequences(10, 2))


def training(splits: Splits, checkpoint: Path, settings: Settings = SETTINGS) -> Training:
    return Training(settings, splits, checkpoint, say=lambda line: None)


@pytest.mark.parametrize("attention", ["nystrom", "softmax"])
def test_a_run_in_sittings_equals_one_in_one_go(attention: str, splits: Splits, tmp_path: Path) -> None:
    settings = Settings(
        ModelSize(6, 40, 2, attention, 4, 3, width=8, feed_forward=8), 7, 2, 4, 0.01, 0, 3, valid_every=3
    )
    whole = training(splits, tmp_path / "whole.pt", settings)
    assert whole.run()
    sittings = 0
    while not (part := training(splits, tmp_path / "parts" / "part.pt", settings)).run(until=time.monotonic()):
        sittings += 1
        torch.rand(5)  # what else draws random numbers does not matter
    assert sittings == 9
    for one, other in zip(whole.model.state_dict().values(), part.model.state_dict().values(), strict=True):
        assert torch.equal(one, other)
    for progress in (whole.progress, part.progress):
        for row in progress.curve:
            row["seconds"] = 0
        progress.seconds = 0
    assert whole.progress == part.progress
    assert [row["step"] for row in whole.progress.curve] == [3, 6, 7]
    assert part.run()  # nothing is left to do


def test_every_pass_has_every_sequence_once(splits: Splits, tmp_path: Path) -> None:
    run = training(splits, tmp_path / "x.pt")
    first, second = (np.concatenate([run.rows(start + step) for step in range(4)]) for start in (0, 4))
    for rows in (first, second):
        assert len(set(rows.tolist())) == 16
    assert first.tolist() != second.tolist()


def test_weights_of_the_best_validation_are_tested(splits: Splits, tmp_path: Path) -> None:
    run = training(splits, tmp_path / "x.pt")
    assert run.run()
    best = max(run.progress.curve, key=lambda row: row["valid_accuracy"])
    assert run.progress.best_step == best["step"]
    assert run._judge(splits.valid) == (best["valid_accuracy"], best["valid_loss"])
    assert run._judge(splits.test)[0] == run.progress.test


def test_it_learns(tmp_path: Path) -> None:
    random = np.random.default_rng(3)
    labels = random.integers(0, 2, 32, dtype=np.uint8)
    tokens = random.integers(0, 3, (32, 12), dtype=np.uint8) + 3 * labels[:, None]
    data = Sequences(tokens.reshape(-1), np.arange(33) * 12, labels)
    run = training(Splits(data, data, data), tmp_path / "x.pt", Settings(SIZE, 30, 3, 16, 0.03, valid_every=30))
    assert run.run()
    assert run.progress.test is not None
    assert run.progress.test > 90


def test_other_settings_are_refused(splits: Splits, tmp_path: Path) -> None:
    assert training(splits, tmp_path / "x.pt").run()
    with pytest.raises(NysformerError, match="of a run with other settings"):
        training(splits, tmp_path / "x.pt", Settings(SIZE, 8, 2, 4))


def test_a_damaged_checkpoint_is_refused(splits: Splits, tmp_path: Path) -> None:
    (tmp_path / "x.pt").write_bytes(b"PK\x03\x04 torn")
    with pytest.raises(NysformerError, match="no checkpoint of a run"):
        training(splits, tmp_path / "x.pt")


def test_a_loss_that_is_no_number_stops_the_run(splits: Splits, tmp_path: Path) -> None:
    run = training(splits, tmp_path / "x.pt")
    with torch.no_grad():
        run.model.tokens.weight.fill_(float("nan"))
    with pytest.raises(NysformerError, match="the loss at step 0 is nan; lower learning_rate"):
        run.run()
