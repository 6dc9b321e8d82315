"""Weights with NaN or infinity are refused at every way in, by their name."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file
from tiny import save_classifier

import nysformer
from nysformer import NysformerError, from_bert
from nysformer.checkpoints.convert.run import convert
from nysformer.checkpoints.export import export
from nysformer.checkpoints.load import load_classifier, load_model
from nysformer.inference.predict import Predictor
from nysformer.models.finite import check_finite

Make = Callable[..., Any]
QUERY = "nystromformer.encoder.layer.0.attention.self.query.weight"


def spoil(folder: Path, key: str, value: float) -> Path:
    file = folder / "model.safetensors"
    state = load_file(file)
    state[key].view(-1)[-1] = value
    save_file(state, file, {"format": "pt"})
    return folder


WAYS: dict[str, Callable[[Path, Path], Any]] = {
    "from_pretrained": lambda folder, _: nysformer.NystromformerForSequenceClassification.from_pretrained(folder),
    "with a report": lambda folder, _: nysformer.NystromformerForSequenceClassification.from_pretrained(
        folder, output_loading_info=True
    ),
    "the backbone alone": lambda folder, _: nysformer.NystromformerModel.from_pretrained(folder),
    "bfloat16": lambda folder, _: nysformer.NystromformerModel.from_pretrained(folder, dtype="bfloat16"),
    "load_classifier": lambda folder, _: load_classifier(folder),
    "load_model": lambda folder, _: load_model(folder),
    "Predictor": lambda folder, _: Predictor.from_pretrained(folder),
    "convert": lambda folder, output: convert(folder, output),
    "export": lambda folder, output: export(folder, output, format="torch-export"),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_every_way_in(tmp_path: Path, way: str, value: float) -> None:
    folder, output = spoil(save_classifier(tmp_path / "model"), QUERY, value), tmp_path / "output"
    with pytest.raises(
        NysformerError, match=r"encoder\.layer\.0\.attention\.self\.query\.weight is not finite, it holds"
    ) as caught:
        WAYS[way](folder, output)
    assert "\n" not in str(caught.value)
    assert ("NaN" if value != value else "infinity") in str(caught.value)
    assert str(folder) in str(caught.value)
    assert not output.exists()


@pytest.mark.parametrize(
    "key",
    [
        "nystromformer.embeddings.word_embeddings.weight",
        "nystromformer.embeddings.position_embeddings.weight",
        "nystromformer.encoder.layer.1.output.LayerNorm.bias",
        "nystromformer.encoder.layer.1.attention.self.conv.weight",
        "classifier.out_proj.bias",
    ],
)
def test_every_weight(tmp_path: Path, key: str) -> None:
    with pytest.raises(NysformerError, match=key.replace(".", r"\.")):
        load_classifier(spoil(save_classifier(tmp_path), key, float("nan")))


def test_shards(tmp_path: Path) -> None:
    spoil(save_classifier(tmp_path / "whole"), QUERY, float("nan"))
    state = load_file(tmp_path / "whole" / "model.safetensors")
    sound = {key: value.nan_to_num() for key, value in state.items()}
    model = load_model(save_classifier(tmp_path / "shards"))
    model.load_state_dict(sound)
    with torch.no_grad():
        model.get_parameter(QUERY)[-1, -1] = float("nan")
    model.save_pretrained(tmp_path / "shards", max_shard_size="20KB")
    (tmp_path / "shards" / "model.safetensors").unlink(missing_ok=True)
    assert (tmp_path / "shards" / "model.safetensors.index.json").is_file()
    with pytest.raises(NysformerError, match=r"query\.weight is not finite, it holds NaN"):
        load_classifier(tmp_path / "shards")


def test_a_number_too_large_for_float16_names_the_dtype(tmp_path: Path) -> None:
    folder = spoil(save_classifier(tmp_path), QUERY, 1e5)
    assert load_classifier(folder).get_parameter(QUERY).max() == 1e5
    with pytest.raises(NysformerError, match="holds infinity in float16; load it in a wider dtype"):
        nysformer.NystromformerForSequenceClassification.from_pretrained(folder, dtype="float16")


def test_large_float16_weights_are_sound(tmp_path: Path) -> None:
    """Their sum is past the range, none of them is."""
    model = load_classifier(save_classifier(tmp_path / "model"))
    with torch.no_grad():
        model.get_parameter(QUERY).fill_(60_000)
    model.half().save_pretrained(tmp_path / "half")
    kind = nysformer.NystromformerForSequenceClassification
    assert kind.from_pretrained(tmp_path / "half", dtype="float16").get_parameter(QUERY).min() == 60_000


def bert() -> Any:
    config = transformers.BertConfig(
        vocab_size=50, hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=64
    )
    model = transformers.BertModel(config, add_pooling_layer=False)
    with torch.no_grad():
        model.encoder.layer[0].output.dense.bias[3] = float("nan")
    return model


def test_from_bert_names_the_sources_weight(tmp_path: Path) -> None:
    message = r"bert\.encoder\.layer\.0\.output\.dense\.bias is not finite, it holds NaN"
    with pytest.raises(NysformerError, match=message):
        from_bert(bert())
    bert().save_pretrained(tmp_path)
    with pytest.raises(NysformerError, match=message):
        from_bert(tmp_path)


def test_what_has_no_numbers_is_passed_over() -> None:
    check_finite([("a", torch.empty(0)), ("b", torch.ones(3).int()), ("c", torch.empty(2, device="meta"))], "here")
