"""Pruned heads stay pruned: weights, convolution, configuration, files."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from nysformer import NysformerError, NystromformerConfig

Make = Callable[..., Any]


@pytest.mark.parametrize("name", ["Model", "ForSequenceClassification"])
def test_saved_and_loaded(make: Make, tmp_path: Path, name: str) -> None:
    model = make(name)
    model.prune_heads({0: [1, 2], 1: [0]})
    ids = torch.randint(2, 99, (2, 40))
    before = model(ids)[0]
    attention = model.base_model.encoder.layer[0].attention
    assert attention.self.conv.weight.shape == (2, 1, 5, 1)
    assert attention.self.query.weight.shape == (16, 32)
    assert attention.output.dense.weight.shape == (32, 16)
    model.save_pretrained(tmp_path)
    assert '"0": [' in (tmp_path / "config.json").read_text(), "JSON has string keys"
    assert NystromformerConfig.from_pretrained(tmp_path).pruned_heads == {0: [1, 2], 1: [0]}
    again, info = type(model).from_pretrained(tmp_path, output_loading_info=True)
    assert not any(info.values())
    assert torch.equal(again(ids)[0], before)


def test_a_second_pruning_goes_by_the_original_numbers(make: Make, tmp_path: Path) -> None:
    ids = torch.randint(2, 99, (2, 40))
    once, twice = make("Model"), make("Model")
    once.prune_heads({0: [0, 2], 1: [3]})
    twice.prune_heads({0: [0]})
    twice.save_pretrained(tmp_path)
    twice = type(twice).from_pretrained(tmp_path).eval()
    twice.prune_heads({0: [2, 0], 1: [3]})
    assert torch.equal(once(ids)[0], twice(ids)[0])
    assert once.config.pruned_heads == twice.config.pruned_heads == {0: [0, 2], 1: [3]}


def test_a_model_trains_after_pruning(make: Make) -> None:
    model = make("Model").train()
    model.prune_heads({0: [0]})
    model(torch.randint(2, 99, (2, 40)))[0].square().sum().backward()
    assert all(p.grad is not None and p.grad.shape == p.shape for p in model.parameters())


def test_without_a_convolution(make: Make) -> None:
    model = make("Model", conv_kernel_size=None)
    model.prune_heads({0: [0]})
    assert model(torch.randint(2, 99, (2, 40)))[0].isfinite().all()


@pytest.mark.parametrize(
    ("heads", "message"),
    [
        ({0: [0, 1, 2, 3]}, "layer 0 without a head"),
        ({0: [2], 1: [0, 1, 2, 3]}, "layer 1 without a head"),
        ({2: [0]}, "layer 2"),
        ({-1: [0]}, "layer -1"),
        ({0: [4]}, "layer 0"),
        ({0: [-1]}, "layer 0"),
    ],
)
@pytest.mark.parametrize("before", [None, {0: [1]}])
def test_refusals_prune_nothing(
    make: Make, heads: dict[int, list[int]], message: str, before: dict[int, list[int]] | None
) -> None:
    model = make("Model")
    if before is not None:
        model.prune_heads(before)
    shapes = {key: value.shape for key, value in model.state_dict().items()}
    with pytest.raises(NysformerError, match=message):
        model.prune_heads(heads)
    assert model.config.pruned_heads == before
    assert {key: value.shape for key, value in model.state_dict().items()} == shapes


def test_all_heads_by_two_prunings(make: Make) -> None:
    model = make("Model")
    model.prune_heads({0: [0, 1]})
    with pytest.raises(NysformerError, match="layer 0 without a head"):
        model.prune_heads({0: [2, 3]})
