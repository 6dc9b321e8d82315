"""What is told of a folder is what the model in it says."""

from pathlib import Path
from typing import Any

import pytest
import torch
from tiny import save_classifier

import nysformer
from nysformer import NysformerError
from nysformer.checkpoints.inspect import LENGTHS, inspect


def test_a_classifier(tmp_path: Path) -> None:
    found = inspect(save_classifier(tmp_path))
    model = nysformer.NystromformerForSequenceClassification.from_pretrained(tmp_path)
    assert found.architecture == "NystromformerForSequenceClassification"
    assert sum(found.parameters.values()) == model.num_parameters()
    assert found.parameters["convolution"] == 2 * 4 * 5
    assert found.parameters["head"] == sum(each.numel() for each in model.classifier.parameters())
    assert found.parameters["token embeddings"] == 56 * 32
    assert (found.dtype, found.attention_mode, found.exact_length) == ("F32", "auto", 8)
    assert (found.num_landmarks, found.conv_kernel_size, found.positions) == (8, 5, 256)
    assert (found.landmarks, found.landmark_steps, found.layer_overrides) == ("segments", 2, {})
    assert tuple(cost.tokens for cost in found.costs) == LENGTHS
    assert dict(found.files)["model.safetensors"] == (tmp_path / "model.safetensors").stat().st_size
    assert found.warnings == ("no model card (README.md) in the folder",)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"segment_means_seq_len": 8}, "runs softmax attention"),
        ({"softmax_max_length": 256}, "no document reaches the landmarks"),
        ({"position_embedding_type": "none"}, None),
    ],
)
def test_what_is_unusual_is_said(tmp_path: Path, options: dict[str, Any], words: str | None) -> None:
    found = inspect(save_classifier(tmp_path, **options))
    assert (words is None and len(found.warnings) == 1) or any(str(words) in line for line in found.warnings)
    assert (found.exact_length is None) == ("segment_means_seq_len" in options)
    assert (found.positions is None) == (words is None)


def test_clusters_and_layers_that_differ(tmp_path: Path) -> None:
    overrides = {1: {"num_landmarks": 16}, 0: {}}
    found = inspect(save_classifier(tmp_path, landmarks="clusters", landmark_steps=3, layer_overrides=overrides))
    assert (found.landmarks, found.landmark_steps) == ("clusters", 3)
    assert found.layer_overrides == {1: {"num_landmarks": 16}}
    assert found.exact_length == 8


def test_tied_weights_count_once(tmp_path: Path) -> None:
    config = nysformer.NystromformerConfig(hidden_size=32, num_hidden_layers=1, num_attention_heads=2, vocab_size=50)
    model = nysformer.NystromformerForMaskedLM(config)
    model.save_pretrained(tmp_path)
    found = inspect(tmp_path)
    assert sum(found.parameters.values()) == model.num_parameters()
    assert not any("not in the file" in line for line in found.warnings)
    assert any("no tokenizer" in line for line in found.warnings)


def test_pickled_and_incomplete_weights(tmp_path: Path) -> None:
    save_classifier(tmp_path / "whole")
    model = nysformer.NystromformerModel.from_pretrained(tmp_path / "whole")
    folder = tmp_path / "part"
    model.save_pretrained(folder)
    text = (folder / "config.json").read_text().replace("NystromformerModel", "NystromformerForSequenceClassification")
    (folder / "config.json").write_text(text)
    assert any("4 weights are not in the file, such as classifier" in line for line in inspect(folder).warnings)
    torch.save(model.state_dict(), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    found = inspect(folder)
    assert found.dtype is None
    assert any("pickled" in line for line in found.warnings)


def test_refusals(tmp_path: Path) -> None:
    with pytest.raises(NysformerError, match="no such model folder"):
        inspect(tmp_path / "nowhere")
    folder = save_classifier(tmp_path / "model")
    text = (folder / "config.json").read_text()
    (folder / "config.json").write_text(text.replace('"num_landmarks": 8', '"num_landmarks": "eight"'))
    with pytest.raises(NysformerError, match=r"config\.json is not usable"):
        inspect(folder)
    (folder / "config.json").write_text(text)
    (folder / "model.safetensors").write_bytes(b"damaged")
    with pytest.raises(NysformerError, match=r"model\.safetensors: cannot be read"):
        inspect(folder)
