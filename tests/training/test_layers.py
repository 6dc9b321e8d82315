"""Frozen tables and slower lower layers."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from tiny import load_classifier

from nysformer.errors import NysformerError
from nysformer.models import NystromformerModel
from nysformer.training.finetune import finetune
from nysformer.training.layers import freeze_tables, layer_scales
from nysformer.training.options import FinetuneOptions

Options = Callable[..., FinetuneOptions]
TABLES = {f"nystromformer.embeddings.{kind}_embeddings.weight" for kind in ("word", "position", "token_type")}


@pytest.mark.parametrize("gradient_checkpointing", [False, True])
def test_frozen_tables_stay_and_have_no_state(
    options: Options, encoder: Path, documents: tuple[Path, Path], gradient_checkpointing: bool
) -> None:
    settings = {"freeze_embeddings": True, "max_steps": 4, "eval_steps": 2}
    run = finetune(options(**settings, gradient_checkpointing=gradient_checkpointing))
    before, after = load_file(encoder / "model.safetensors"), load_file(run.output / "model.safetensors")
    assert {name for name in before if torch.equal(before[name], after[name])} == TABLES
    folder = run.output / "checkpoints/checkpoint-4"
    state = torch.load(folder / "optimizer.pt", weights_only=True)
    assert len(state["state"]) == len(before) - len(TABLES)
    resumed = finetune(options(**settings | {"max_steps": 5}, resume=True))
    again = load_file(resumed.output / "model.safetensors")
    assert all(torch.equal(before[name], again[name]) for name in TABLES)


def test_each_layer_learns_slower_than_the_one_above(encoder: Path) -> None:
    model = load_classifier(encoder)
    scales = layer_scales(model, 0.5)
    assert {scales.get(name, 1.0) for name, _ in model.classifier.named_parameters(prefix="classifier")} == {1.0}
    assert scales["nystromformer.encoder.layer.1.output.dense.bias"] == 0.5
    assert scales["nystromformer.encoder.layer.0.attention.self.query.weight"] == 0.25
    assert {scales[name] for name in TABLES} == {0.125}
    assert len(scales) == len(list(model.nystromformer.parameters()))
    assert layer_scales(model, 1.0) == {}
    alone = layer_scales(NystromformerModel(model.config), 0.5)
    assert alone == {name.removeprefix("nystromformer."): scale for name, scale in scales.items()}


def test_the_optimizers_rates(options: Options, documents: tuple[Path, Path], tmp_path: Path) -> None:
    """Of a regression, whose last layer has a scale of its own besides."""
    rows = [{"text": "a b", "label": 0.5}, {"text": "c", "label": 8.5}, {"text": "d d", "label": 4.5}] * 4
    path = tmp_path / "numbers.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    settings: dict[str, Any] = {"train": (str(path),), "valid": (str(path),), "max_steps": 1, "warmup_share": 0.0}
    run = finetune(options(**settings, layer_decay=0.5, learning_rate=1e-3, weight_decay=0.1))
    state = torch.load(run.output / "checkpoints/checkpoint-1/optimizer.pt", weights_only=True)
    spread = (32 / 3) ** 0.5
    rates = {round(group["scale"], 6) for group in state["param_groups"]}
    assert rates == {1.0, 0.5, 0.25, 0.125, round(spread, 6)}
    for group in state["param_groups"]:
        own = spread if group["scale"] > 1 else 1.0
        assert group["initial_lr"] == pytest.approx(1e-3 * group["scale"])
        assert group["weight_decay"] in (0.0, pytest.approx(0.1 / own))
    assert state["param_groups"][0]["scale"] == 1.0
    assert sum(len(group["params"]) for group in state["param_groups"]) == len(
        list(load_classifier(run.output).parameters())
    )
    with pytest.raises(NysformerError, match=r"layer_decay: 1\.5 is above 1"):
        options(layer_decay=1.5)


def test_only_tables_are_frozen(encoder: Path) -> None:
    model = load_classifier(encoder).requires_grad_(True)
    freeze_tables(model)
    assert {name for name, parameter in model.named_parameters() if not parameter.requires_grad} == TABLES


def test_layers_of_long_documents_learn_as_those_of_short_ones(encoder: Path) -> None:
    model = load_classifier(encoder)
    model.base_model.add_long_layers()
    scales = layer_scales(model, 0.5)
    body = f"{model.base_model_prefix}.encoder"
    for layer in range(2):
        place = f"{layer}.output.dense.weight"
        assert scales[f"{body}.long_layer.{place}"] == scales[f"{body}.layer.{place}"] == 0.5 ** (2 - layer)
