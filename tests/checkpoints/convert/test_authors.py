"""Checkpoints of the authors' training code keep the numbers of a model written in that layout."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from sources import LENGTH, AuthorsModel, noisy

import nysformer
from nysformer import NysformerError
from nysformer.checkpoints.convert.conversion import ConversionOptions
from nysformer.checkpoints.convert.source import convert_source
from nysformer.checkpoints.convert.verify import verify

IDS = torch.randint(4, 56, (1, LENGTH), generator=torch.Generator().manual_seed(0))


def written(path: Path, model: AuthorsModel, **extra: torch.Tensor) -> Path:
    torch.save({"model_state_dict": {**model.state_dict(), **extra}, "epoch": 3}, path)
    return path


@pytest.mark.parametrize("kernel", [None, 5])
@torch.no_grad()
def test_the_authors_numbers(tmp_path: Path, kernel: int | None) -> None:
    source = noisy(AuthorsModel(kernel))
    options = ConversionOptions(allow_pickle=True, num_attention_heads=None if kernel else 4, softmax_max_length=LENGTH)
    conversion = convert_source(written(tmp_path / "cp-0001.cp", source), options)
    model = conversion.model
    assert type(model) is nysformer.NystromformerForMaskedLM
    assert (model.config.conv_kernel_size, model.config.max_position_embeddings) == (kernel, LENGTH)
    assert model.config.tie_word_embeddings
    for length in (1, 20, LENGTH):
        theirs, ours = source(IDS[:, :length]), model(IDS[:, :length]).logits
        assert (ours - theirs).abs().max() <= 1e-5 * theirs.abs().max(), length
    assert all(each.exact for each in verify(conversion, IDS[0]))


def test_poolers_and_sentence_heads_are_dropped_with_a_word(tmp_path: Path) -> None:
    extra = {"model.pooler.weight": torch.zeros(32, 32), "sen_class.bias": torch.zeros(2)}
    path = written(tmp_path / "model.pt", noisy(AuthorsModel(5)), **extra)
    conversion = convert_source(path, ConversionOptions(allow_pickle=True, num_landmarks=8))
    assert conversion.dropped == ("model.pooler", "sen_class")
    assert [each.exact for each in verify(conversion, IDS[0])] == [True, True, False, False]


def test_the_settings_beside_tell_how_it_was_trained(tmp_path: Path) -> None:
    path = written(tmp_path / "model.pt", noisy(AuthorsModel(None)))
    settings: dict[str, Any] = {"num_head": 4, "num_landmarks": 8, "seq_len": LENGTH, "max_seq_len": LENGTH}
    (tmp_path / "config.json").write_text(json.dumps({"model": settings}))
    conversion = convert_source(path, ConversionOptions(allow_pickle=True, max_position_embeddings=100))
    config = conversion.model.config
    assert (config.num_attention_heads, config.num_landmarks, config.max_position_embeddings) == (4, 8, 100)
    assert conversion.reference.config.segment_means_seq_len != conversion.reference.config.num_landmarks
    (found,) = verify(conversion, IDS[0])
    assert (found.tokens, found.exact) == (LENGTH, True)
    assert found.largest <= 1e-5


def test_safetensors_and_data_parallel_names(tmp_path: Path) -> None:
    source = noisy(AuthorsModel(5))
    state = {f"module.{key}": value.clone() for key, value in source.state_dict().items()}
    del state["module.mlm.mlm_class.weight"]  # it is the token table
    save_file(state, tmp_path / "model.safetensors")
    model = convert_source(tmp_path / "model.safetensors", ConversionOptions(softmax_max_length=LENGTH)).model
    torch.testing.assert_close(model(IDS).logits, source(IDS), rtol=1e-4, atol=1e-4)


def test_without_a_head_it_is_an_encoder(tmp_path: Path) -> None:
    state = {key: value for key, value in noisy(AuthorsModel(5)).state_dict().items() if key.startswith("model.")}
    save_file(state, tmp_path / "model.safetensors")
    conversion = convert_source(tmp_path / "model.safetensors", ConversionOptions())
    assert type(conversion.model) is nysformer.NystromformerModel
    verify(conversion, IDS[0])


def test_refusals(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"

    def refused(match: str, **options: Any) -> None:
        with pytest.raises(NysformerError, match=match):
            convert_source(path, ConversionOptions(**options))

    whole = {key: value.clone() for key, value in AuthorsModel(None).state_dict().items()}
    save_file(whole, path)
    refused("give --num-heads")
    refused("keeps its own", num_attention_heads=4, conv_kernel_size=3)
    refused("not a multiple", num_attention_heads=5)
    save_file({"weight": torch.zeros(1)}, path)
    refused("not a checkpoint of the authors' code")
    save_file({**whole, "model.transformer_0.mha.attn.E": torch.zeros(1)}, path)
    refused("model.transformer_0.mha.attn.E has no place", num_attention_heads=4)
    save_file({key: value for key, value in whole.items() if key != "model.transformer_1.ff2.bias"}, path)
    refused("model.transformer_1.ff2.bias is missing", num_attention_heads=4)
    path.write_bytes(b"nothing")
    refused("cannot be read")
    path = tmp_path / "model.pt"
    torch.save([1], path)
    refused("pickled weights")
    refused("holds no weights", allow_pickle=True)
    written(path, AuthorsModel(None))
    (tmp_path / "config.json").write_text("{")
    refused("config.json: not valid JSON", allow_pickle=True)
