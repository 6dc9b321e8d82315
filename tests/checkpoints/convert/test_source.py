"""Every family keeps its numbers up to its own length, with its masked-LM head; what cannot be converted is named."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from sources import FAMILIES, LENGTH, build, save

import nysformer
from nysformer import NysformerError
from nysformer.checkpoints.convert.source import convert_source
from nysformer.checkpoints.convert.verify import lengths, verify
from nysformer.checkpoints.options import ConversionOptions

Make = Callable[..., Any]
LONGER = ConversionOptions(max_position_embeddings=100, num_landmarks=8)


def ids(length: int, batch: int = 1) -> torch.Tensor:
    return torch.randint(4, 56, (batch, length), generator=torch.Generator().manual_seed(length))


@pytest.mark.parametrize("head", ["Model", "ForMaskedLM"])
@pytest.mark.parametrize("family", FAMILIES)
@torch.no_grad()
def test_the_sources_numbers(tmp_path: Path, family: str, head: str) -> None:
    source = build(family, head)
    conversion = convert_source(save(source, tmp_path), LONGER)
    assert type(conversion.model) is getattr(nysformer, f"Nystromformer{head}")
    assert conversion.kind == source.config.model_type
    assert (conversion.readable, conversion.exact_length) == (LENGTH, LENGTH)
    for length in (1, 7, 8, 9, LENGTH):
        theirs, ours = (model(input_ids=ids(length))[0] for model in (source, conversion.model))
        assert (ours - theirs).abs().max() <= 1e-5 * theirs.abs().max(), length
    assert conversion.model(input_ids=ids(100))[0].isfinite().all()
    found = verify(conversion, ids(LENGTH)[0])
    assert [each.tokens for each in found] == [16, 20, LENGTH]
    assert all(each.exact and each.largest <= 1e-5 for each in found)


@pytest.mark.parametrize("family", FAMILIES)
@torch.no_grad()
def test_padded_batches(tmp_path: Path, family: str) -> None:
    source = build(family)
    model = convert_source(save(source, tmp_path), LONGER).model
    mask = torch.arange(LENGTH) < torch.tensor([3, LENGTH, 17])[:, None]
    batch = ids(LENGTH, 3).masked_fill(~mask, source.config.pad_token_id)
    theirs, ours = (each(input_ids=batch, attention_mask=mask.long())[0] for each in (source, model))
    assert (ours - theirs)[mask].abs().max() <= 1e-5 * theirs[mask].abs().max()


@pytest.mark.parametrize("family", ["Bert", "Roberta", "Electra"])
@torch.no_grad()
def test_token_types(tmp_path: Path, family: str) -> None:
    source = build(family, type_vocab_size=2)
    model = convert_source(save(source, tmp_path), LONGER).model
    types = (torch.arange(LENGTH) > 20).long()[None]
    theirs, ours = (each(input_ids=ids(LENGTH), token_type_ids=types)[0] for each in (source, model))
    assert (ours - theirs).abs().max() <= 1e-5 * theirs.abs().max()


def test_distilbert_takes_token_types_without_having_any(tmp_path: Path) -> None:
    model = convert_source(save(build("DistilBert"), tmp_path), LONGER).model
    assert torch.equal(model(ids(20), token_type_ids=torch.ones(1, 20, dtype=torch.long))[0], model(ids(20))[0])


@torch.no_grad()
def test_positions_of_roberta_start_after_the_padding_token(tmp_path: Path) -> None:
    source = build("Roberta", pad_token_id=3, max_position_embeddings=LENGTH + 4)
    conversion = convert_source(save(source, tmp_path), LONGER)
    assert conversion.readable == LENGTH
    theirs, ours = (model(input_ids=ids(LENGTH))[0] for model in (source, conversion.model))
    assert (ours - theirs).abs().max() <= 1e-5 * theirs.abs().max()


@pytest.mark.parametrize("family", ["Bert", "Roberta", "DistilBert"])
def test_heads_of_other_tasks_are_dropped_with_a_word(tmp_path: Path, family: str) -> None:
    conversion = convert_source(save(build(family, "ForSequenceClassification"), tmp_path), LONGER)
    assert type(conversion.model) is nysformer.NystromformerModel
    assert any("classifier" in part for part in conversion.dropped)


def test_a_pooler_is_dropped_with_a_word(tmp_path: Path) -> None:
    assert convert_source(save(build("Bert"), tmp_path), LONGER).dropped == ("pooler.dense",)


def test_a_head_with_another_activation_is_dropped_with_a_word(tmp_path: Path) -> None:
    """RoBERTa's head is exact GELU whatever the layers have; ours has the activation of the layers."""
    conversion = convert_source(save(build("Roberta", "ForMaskedLM", hidden_act="relu"), tmp_path), LONGER)
    assert type(conversion.model) is nysformer.NystromformerModel
    assert "lm_head.dense" in conversion.dropped


@torch.no_grad()
def test_untied_heads_stay_untied(tmp_path: Path) -> None:
    source = build("Bert", "ForMaskedLM", tie_word_embeddings=False)
    model = convert_source(save(source, tmp_path), LONGER).model
    assert not model.config.tie_word_embeddings
    theirs, ours = (each(input_ids=ids(30)).logits for each in (source, model))
    assert (ours - theirs).abs().max() <= 1e-5 * theirs.abs().max()


def test_less_softmax_is_approximated_and_says_so(tmp_path: Path) -> None:
    folder = save(build("Bert"), tmp_path)
    conversion = convert_source(folder, ConversionOptions(num_landmarks=8, softmax_max_length=10))
    found = verify(conversion, ids(LENGTH)[0])
    assert [(each.tokens, each.exact) for each in found] == [
        *((5, True), (10, True)),
        *((20, False), (LENGTH, False)),
    ]
    assert found[1].largest <= 1e-5 < found[2].largest


def test_a_new_convolution_is_zero(tmp_path: Path) -> None:
    conversion = convert_source(save(build("DistilBert"), tmp_path), ConversionOptions(conv_kernel_size=5))
    assert not conversion.model.encoder.layer[1].attention.self.conv.weight.any()
    verify(conversion, ids(LENGTH)[0])


def test_a_wrong_conversion_does_not_pass(tmp_path: Path) -> None:
    conversion = convert_source(save(build("Bert"), tmp_path), LONGER)
    with torch.no_grad():
        conversion.model.encoder.layer[1].attention.self.key.weight[0, 0] += 1.0
    with pytest.raises(NysformerError, match="differs from its source"):
        verify(conversion, ids(LENGTH)[0])


def test_half_precision_is_compared_in_float32(tmp_path: Path) -> None:
    conversion = convert_source(save(build("Bert").to(torch.bfloat16), tmp_path), LONGER)
    assert conversion.model.dtype == torch.bfloat16
    assert max(each.largest for each in verify(conversion, ids(LENGTH)[0])) <= 1e-5


@pytest.mark.parametrize("name", ["Model", "ForMaskedLM", "ForSequenceClassification", "ForMultipleChoice"])
def test_a_nystromformer_gets_its_landmarks_turned_on(make: Make, tmp_path: Path, name: str) -> None:
    make(name, segment_means_seq_len=8).save_pretrained(tmp_path)
    conversion = convert_source(tmp_path, ConversionOptions(max_position_embeddings=300))
    config = conversion.model.config
    assert config.resolved_attention_mode == "auto"
    assert (config.max_position_embeddings, config.num_landmarks, config.conv_kernel_size) == (300, 8, 5)
    assert type(conversion.reference) is getattr(transformers, f"Nystromformer{name}")
    found = verify(conversion, ids(50)[0])
    assert [(each.tokens, each.exact) for each in found] == [(4, True), (8, True), (16, False), (256, False)]
    assert max(each.largest for each in found if each.exact) <= 1e-5


@pytest.mark.parametrize("landmarks", [None, 8, 16])
def test_a_nystromformer_that_has_them_on(make: Make, tmp_path: Path, landmarks: int | None) -> None:
    make("Model", segment_means_seq_len=256).save_pretrained(tmp_path)
    conversion = convert_source(tmp_path, ConversionOptions(num_landmarks=landmarks))
    (found,) = verify(conversion, ids(50)[0])
    assert (found.tokens, found.exact) == (256, landmarks != 16)
    assert (found.largest <= 1e-5) == found.exact


def test_landmarks_of_another_kind(make: Make, tmp_path: Path) -> None:
    options = ConversionOptions(num_landmarks=8, landmarks="clusters", landmark_steps=3, softmax_max_length=10)
    config = convert_source(save(build("Bert"), tmp_path / "bert"), options).model.config
    assert (config.landmarks, config.landmark_steps) == ("clusters", 3)
    make("Model", softmax_max_length=12).save_pretrained(tmp_path / "ours")
    other = convert_source(tmp_path / "ours", ConversionOptions(landmarks="clusters"))
    assert (other.model.config.landmarks, other.model.config.landmark_steps) == ("clusters", 2)
    assert [other.is_exact(tokens) for tokens in (8, 12, 13)] == [True, True, False]
    other.model.save_pretrained(tmp_path / "clusters")
    again = convert_source(tmp_path / "clusters", ConversionOptions())
    assert again.model.config.landmarks == "clusters"
    assert all(each.exact and each.largest == 0 for each in verify(again, ids(50)[0]))
    assert not convert_source(tmp_path / "clusters", ConversionOptions(landmark_steps=1)).is_exact(200)


def test_exact_layers(make: Make, tmp_path: Path) -> None:
    options = ConversionOptions(exact_layers=1, exact_layers_length=50, num_landmarks=8, softmax_max_length=10)
    conversion = convert_source(save(build("Bert"), tmp_path / "bert"), options)
    specs = [conversion.model.config.nystrom_spec(layer) for layer in range(2)]
    assert [spec.softmax_max_length for spec in specs] == [50, 10]
    assert conversion.exact_length == 10
    make("Model", layer_overrides={0: {"num_landmarks": 4}, 1: {"num_landmarks": 6}}).save_pretrained(tmp_path / "ours")
    other = convert_source(tmp_path / "ours", ConversionOptions(exact_layers=1, exact_layers_length=50))
    assert other.model.config.layer_overrides == {
        0: {"num_landmarks": 4, "softmax_max_length": 50},
        1: {"num_landmarks": 6},
    }
    for folder in ("bert", "ours"):
        with pytest.raises(NysformerError, match="exact_layers: 9 of 2 layers; give fewer"):
            convert_source(tmp_path / folder, ConversionOptions(exact_layers=9))


def test_layers_of_their_own_are_compared_layer_by_layer(make: Make, tmp_path: Path) -> None:
    make("Model", layer_overrides={1: {"num_landmarks": 4, "softmax_max_length": 30}}).save_pretrained(tmp_path)
    same = convert_source(tmp_path, ConversionOptions())
    assert same.exact_length == 8
    assert all(same.is_exact(tokens) for tokens in (8, 20, 31, 200))
    more = convert_source(tmp_path, ConversionOptions(num_landmarks=16))
    assert more.model.config.nystrom_spec(1).num_landmarks == 4, "what a layer says of itself stays"
    assert [more.is_exact(tokens) for tokens in (8, 9, 16, 17)] == [True, False, False, False]


def test_one_of_ours_that_transformers_cannot_run_is_compared_with_itself(make: Make, tmp_path: Path) -> None:
    make("Model", conv_kernel_size=None, softmax_max_length=64).save_pretrained(tmp_path)
    same = convert_source(tmp_path, ConversionOptions())
    assert type(same.reference) is nysformer.NystromformerModel
    assert all(each.exact and each.largest == 0 for each in verify(same, ids(50)[0]))
    less = convert_source(tmp_path, ConversionOptions(softmax_max_length=0))
    assert [each.exact for each in verify(less, ids(50)[0])] == [length <= 8 or length > 64 for length in lengths(less)]


def test_refusals(make: Make, tmp_path: Path) -> None:
    def refused(match: str, source: Path | str, **options: Any) -> None:
        with pytest.raises(NysformerError, match=match) as caught:
            convert_source(source, ConversionOptions(**options))
        assert "\n" not in str(caught.value)

    gpt = transformers.GPT2LMHeadModel(transformers.GPT2Config(vocab_size=9, n_embd=8, n_layer=1, n_head=1))
    refused("'gpt2' model: only bert, distilbert, electra, roberta, xlm-roberta", save(gpt, tmp_path / "gpt"))
    refused("is a decoder", save(build("Bert", is_decoder=True), tmp_path / "decoder"))
    refused("projects embeddings of 16 to 32", save(build("Electra", embedding_size=16), tmp_path / "electra"))
    bert = save(build("Bert"), tmp_path / "bert")
    refused("has 40 positions: max_position_embeddings 30", bert, max_position_embeddings=30)
    refused("conv_kernel_size is 4", bert, conv_kernel_size=4)
    refused("no config.json", tmp_path)
    refused("no such folder", tmp_path / "nowhere")
    (bert / "model.safetensors").write_bytes(b"damaged")
    refused("cannot be read", bert)
    (bert / "model.safetensors").unlink()
    refused("no weights", bert)
    ours = tmp_path / "ours"
    make("Model").save_pretrained(ours)
    refused("keeps its own", ours, conv_kernel_size=5)
    config = json.loads((ours / "config.json").read_text())
    (ours / "config.json").write_text(json.dumps(config | {"architectures": ["NystromformerForPoetry"]}))
    refused("is a NystromformerForPoetry", ours)
    (ours / "config.json").write_text(json.dumps(config | {"num_landmarks": "eight"}))
    refused("cannot be read", ours)
    (ours / "config.json").write_text(json.dumps(config | {"num_hidden_layers": 3}))
    refused("is missing", ours)


def test_pickled_weights_are_refused_unless_allowed(tmp_path: Path) -> None:
    source = build("Bert")
    folder = save(source, tmp_path)
    (folder / "model.safetensors").unlink()
    torch.save(source.state_dict(), folder / "pytorch_model.bin")
    with pytest.raises(NysformerError, match=r"pytorch_model\.bin: pickled weights, .* allow_pickle=True"):
        convert_source(folder, ConversionOptions())
    verify(convert_source(folder, ConversionOptions(allow_pickle=True)), ids(LENGTH)[0])


class Mischief:
    def __reduce__(self) -> Any:
        return (print, ("this must not run",))


def test_pickled_code_is_not_run_even_then(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = save(build("Bert"), tmp_path)
    (folder / "model.safetensors").unlink()
    torch.save({"weight": Mischief()}, folder / "pytorch_model.bin")
    with pytest.raises(NysformerError, match="cannot be read"):
        convert_source(folder, ConversionOptions(allow_pickle=True))
    assert "must not run" not in capsys.readouterr().out
