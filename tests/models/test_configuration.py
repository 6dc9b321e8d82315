"""The configuration: the published softmax switch, what is refused, JSON and back."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

from nysformer import NysformerError, NystromformerConfig, NystromformerModel

Make = Callable[..., Any]
Warned = Callable[[], list[str]]


def mode_of(model: Any) -> str:
    """What a model runs, read off its attention."""
    attention = model.encoder.layer[0].attention.self
    return "softmax" if attention.spec is None else "landmarks"


def test_defaults_are_the_published_ones() -> None:
    ours, theirs = NystromformerConfig().to_dict(), transformers.NystromformerConfig().to_dict()
    assert {key for key in theirs if ours.get(key) != theirs[key]} == {"segment_means_seq_len"}
    assert ours["conv_kernel_size"] == 65
    assert ours["max_position_embeddings"] == 510


@pytest.mark.parametrize(
    ("positions", "m", "expected"), [(510, 64, 448), (512, 64, 512), (4096, 64, 4096), (64, 64, 128), (30, 64, 128)]
)
def test_the_switch_not_given(positions: int, m: int, expected: int, tiny: Make, warned: Warned) -> None:
    config = tiny(max_position_embeddings=positions, num_landmarks=m)
    assert config.resolved_segment_means_seq_len == expected
    assert config.to_dict()["segment_means_seq_len"] == expected
    assert mode_of(NystromformerModel(config)) == "landmarks"
    assert not warned()


def test_the_switch_given_by_the_caller(tiny: Make, warned: Warned) -> None:
    assert mode_of(NystromformerModel(tiny(num_landmarks=8, segment_means_seq_len=16))) == "landmarks"
    assert not warned()
    assert mode_of(NystromformerModel(tiny(num_landmarks=8, segment_means_seq_len=8))) == "softmax"
    assert len(warned()) == 1


def published(tiny: Make, folder: Path) -> Path:
    """A folder as the published ones are: transformers' own, 64 landmarks for 64 tokens a segment."""
    config = transformers.NystromformerConfig(
        **{
            key: value
            for key, value in tiny(num_landmarks=64).to_dict().items()
            if key in transformers.NystromformerConfig().to_dict() and key != "segment_means_seq_len"
        },
        segment_means_seq_len=64,
    )
    torch.manual_seed(0)
    transformers.NystromformerModel(config).save_pretrained(folder)
    return folder


def test_a_published_folder_is_softmax_and_says_so_once(tiny: Make, tmp_path: Path, warned: Warned) -> None:
    folder = published(tiny, tmp_path)
    models = [NystromformerModel.from_pretrained(folder) for _ in range(2)]
    assert [mode_of(model) for model in models] == ["softmax"] * 2
    said = [message for message in warned() if "attention_mode" in message]
    assert len(said) == 1
    assert 'attention_mode="auto"' in said[0]
    assert "\n" not in said[0]
    theirs = transformers.NystromformerModel.from_pretrained(folder).eval()
    ids = torch.randint(2, 99, (1, 100))
    torch.testing.assert_close(models[0](ids)[0], theirs(ids)[0], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("override", [{"num_landmarks": 32}, {"segment_means_seq_len": 128}])
def test_a_published_folder_with_one_of_the_two_overridden(
    tiny: Make, tmp_path: Path, warned: Warned, override: dict[str, int]
) -> None:
    model = NystromformerModel.from_pretrained(published(tiny, tmp_path), **override)
    assert mode_of(model) == "landmarks"
    assert model.encoder.layer[0].attention.self.spec.num_landmarks == override.get("num_landmarks", 64)
    assert not warned()


@pytest.mark.parametrize("mode", ["auto", "nystrom", "softmax"])
def test_an_explicit_mode_wins(tiny: Make, tmp_path: Path, warned: Warned, mode: str) -> None:
    model = NystromformerModel.from_pretrained(published(tiny, tmp_path / "theirs"), attention_mode=mode)
    expected = "softmax" if mode == "softmax" else "landmarks"
    assert mode_of(model) == expected
    assert mode_of(NystromformerModel(tiny(segment_means_seq_len=24, attention_mode=mode))) == expected
    assert not warned()
    model.save_pretrained(tmp_path / "ours")
    saved = NystromformerConfig.from_pretrained(tmp_path / "ours")
    assert saved.attention_mode == mode
    assert (saved.segment_means_seq_len == saved.num_landmarks) == (mode == "softmax"), "the published switch says it"


def test_the_switch_is_read_when_a_model_is_built(tiny: Make) -> None:
    config = tiny(num_landmarks=8)
    config.segment_means_seq_len = 8
    assert mode_of(NystromformerModel(config)) == "softmax"
    config.num_landmarks = 4
    assert mode_of(NystromformerModel(config)) == "landmarks"


@pytest.mark.parametrize("mode", ["nystrom", "softmax"])
def test_our_folder_is_read_by_both(tiny: Make, make: Make, tmp_path: Path, warned: Warned, mode: str) -> None:
    ours = make("Model", attention_mode=mode, max_position_embeddings=64)
    ours.save_pretrained(tmp_path)
    assert not warned()
    theirs, info = transformers.NystromformerModel.from_pretrained(tmp_path, output_loading_info=True)
    assert not info["missing_keys"]
    assert not info["unexpected_keys"]
    again = NystromformerModel.from_pretrained(tmp_path).eval()
    ids = torch.randint(2, 99, (1, 64))
    torch.testing.assert_close(ours(ids)[0], theirs.eval()(ids)[0], rtol=1e-5, atol=1e-5)
    assert torch.equal(ours(ids)[0], again(ids)[0])


def test_their_folder_with_landmarks_is_read_by_both(tiny: Make, tmp_path: Path, warned: Warned) -> None:
    values = {key: tiny().to_dict()[key] for key in ("vocab_size", "hidden_size", "num_hidden_layers")}
    config = transformers.NystromformerConfig(
        **values, num_attention_heads=4, intermediate_size=48, num_landmarks=8, segment_means_seq_len=64
    )
    theirs = transformers.NystromformerForSequenceClassification(config).eval()
    theirs.save_pretrained(tmp_path)
    import nysformer

    ours = nysformer.NystromformerForSequenceClassification.from_pretrained(tmp_path)
    ids = torch.randint(2, 99, (1, 64))
    torch.testing.assert_close(ours(ids).logits, theirs(ids).logits, rtol=1e-5, atol=1e-5)
    ours.save_pretrained(tmp_path / "again")
    again = transformers.NystromformerForSequenceClassification.from_pretrained(tmp_path / "again").eval()
    assert torch.equal(again(ids).logits, theirs(ids).logits)
    assert not warned()


UNKNOWN: list[tuple[dict[str, Any], str]] = [
    ({"conv_kernel_size": None}, "conv_kernel_size"),
    ({"pruned_heads": {0: [1]}}, "pruned_heads"),
    ({"inv_coeff_init_option": True}, "inv_coeff_init_option"),
    ({"pinv_iterations": 8}, "pinv_iterations"),
    ({"position_embedding_type": "none"}, "position_embedding_type"),
    ({"softmax_max_length": 64}, "softmax_max_length"),
    ({"landmarks": "clusters", "landmark_steps": 3}, "landmarks"),
    ({"landmarks": "clusters", "landmark_steps": 3}, "landmark_steps"),
    ({"layer_overrides": {1: {"num_landmarks": 4}}}, "layer_overrides"),
    ({"classifier_pooling": "mean"}, "classifier_pooling"),
]


@pytest.mark.parametrize(("option", "name"), UNKNOWN)
def test_what_transformers_cannot_honour_is_named_on_save(
    tiny: Make, tmp_path: Path, warned: Warned, option: dict[str, Any], name: str
) -> None:
    NystromformerModel(tiny(**option)).save_pretrained(tmp_path)
    assert len(warned()) == 1
    assert name in warned()[0]
    assert "\n" not in warned()[0]
    assert NystromformerModel.from_pretrained(tmp_path).config.to_dict()[name] == tiny(**option).to_dict()[name]


def test_one_warning_names_everything(tiny: Make, tmp_path: Path, warned: Warned) -> None:
    options = {key: value for option, _ in UNKNOWN for key, value in option.items()}
    tiny(**options).save_pretrained(tmp_path)
    assert len(warned()) == 1
    assert all(name in warned()[0] for _, name in UNKNOWN)


@pytest.mark.parametrize("mode", ["nystrom", "softmax"])
def test_what_has_no_effect_is_not_named(tiny: Make, tmp_path: Path, warned: Warned, mode: str) -> None:
    tiny(attention_mode=mode, softmax_max_length=64, landmark_steps=3, layer_overrides={}).save_pretrained(tmp_path)
    assert not warned()
    if mode == "softmax":
        overrides = {0: {"num_landmarks": 4}}
        tiny(attention_mode=mode, landmarks="clusters", layer_overrides=overrides).save_pretrained(tmp_path)
        assert not warned()


def test_json_and_back(tiny: Make, tmp_path: Path) -> None:
    config = tiny(
        attention_mode="auto",
        softmax_max_length=50,
        pinv_iterations=4,
        conv_kernel_size=None,
        position_embedding_type="none",
        classifier_pooling="attention",
        pruned_heads={1: [2, 0]},
        landmarks="clusters",
        landmark_steps=3,
        layer_overrides={1: {"num_landmarks": 16, "landmarks": "segments"}, 0: {}},
        inv_coeff_init_option=True,
    )
    config.save_pretrained(tmp_path)
    again = NystromformerConfig.from_pretrained(tmp_path)
    assert again.pruned_heads == {1: [0, 2]}
    assert again.layer_overrides == {1: {"num_landmarks": 16, "landmarks": "segments"}, 0: {}}
    assert {k: v for k, v in again.to_dict().items() if k != "_name_or_path"} == {
        k: v for k, v in config.to_dict().items() if k != "_name_or_path"
    }


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"is_decoder": True}, "no causal form"),
    ({"add_cross_attention": True}, "no causal form"),
    ({"hidden_size": 30}, "not a multiple of num_attention_heads"),
    ({"num_landmarks": 0}, "num_landmarks is 0"),
    ({"conv_kernel_size": 4}, "conv_kernel_size is 4"),
    ({"conv_kernel_size": 0}, "conv_kernel_size is 0"),
    ({"conv_kernel_size": -1}, "conv_kernel_size is -1"),
    ({"pinv_iterations": 0}, "pinv_iterations is 0"),
    ({"pinv_iterations": 13}, "pinv_iterations is 13"),
    ({"softmax_max_length": -1}, "softmax_max_length is -1"),
    ({"landmark_steps": 0}, "landmark_steps is 0: choose a whole number from 1 to 16"),
    ({"layer_overrides": {2: {}}}, "layer_overrides names layer 2: this model has layers 0 to 1"),
    ({"layer_overrides": {0: {"hidden_size": 64}}}, "layer 0: 'hidden_size' cannot differ by layer: choose among num_"),
    ({"layer_overrides": {0: {"num_landmarks": 0}}}, "layer 0: num_landmarks is 0: choose"),
    ({"layer_overrides": {0: {"pinv_iterations": True}}}, "layer 0: pinv_iterations is True: choose"),
    ({"layer_overrides": {1: {"landmarks": "means"}}}, "layer 1: landmarks is 'means': choose segments or clusters"),
    ({"hidden_act": "gelu_fresh"}, "hidden_act 'gelu_fresh' is not known"),
    ({"pruned_heads": {2: [0]}}, "pruned_heads names layer 2"),
    ({"pruned_heads": {0: [4]}}, "pruned_heads names layer 0"),
    ({"pruned_heads": {0: [0, 1, 2, 3]}}, "without a head"),
]


@pytest.mark.parametrize(("option", "message"), REFUSED)
@pytest.mark.parametrize("name", ["Model", "ForMaskedLM"])
def test_what_no_model_can_be_built_from(
    tiny: Make, make: Make, option: dict[str, Any], message: str, name: str
) -> None:
    tiny(**option)  # the configuration itself is kept
    with pytest.raises(NysformerError, match=message) as caught:
        make(name, **option)
    assert "\n" not in str(caught.value)


def test_layers_have_their_own_landmarks(make: Make) -> None:
    overrides = {1: {"num_landmarks": 4, "landmarks": "clusters", "landmark_steps": 1, "pinv_iterations": 8}}
    model = make("Model", layer_overrides=overrides | {0: {"softmax_max_length": 20}})
    first, second = (layer.attention.self.spec for layer in model.encoder.layer)
    assert (first.num_landmarks, first.landmarks, first.exact_length) == (8, "segments", 20)
    assert (second.num_landmarks, second.landmarks, second.exact_length) == (4, "clusters", 4)
    assert (second.landmark_steps, second.pinv_iterations) == (1, 8)
    assert model.config.exact_length == 4
    nystrom = make("Model", attention_mode="nystrom", layer_overrides={0: {"softmax_max_length": 20}})
    assert nystrom.encoder.layer[0].attention.self.spec.exact_length == 8, "nystrom ignores softmax_max_length"
    softmax = make("Model", attention_mode="softmax", layer_overrides=overrides)
    assert all(layer.attention.self.spec is None for layer in softmax.encoder.layer)
    assert softmax.config.exact_length is None


def test_clusters_in_a_model_are_clusters(make: Make) -> None:
    segments, clusters = make("Model").double(), make("Model", landmarks="clusters").double()
    short, long = torch.randint(2, 99, (1, 8)), torch.randint(2, 99, (1, 100))
    assert torch.equal(segments(short)[0], clusters(short)[0])
    assert not torch.allclose(segments(long)[0], clusters(long)[0], atol=1e-3)
    one = make("Model", layer_overrides={0: {"landmarks": "clusters"}, 1: {"landmarks": "clusters"}}).double()
    assert torch.equal(one(long)[0], clusters(long)[0])
