"""Names, shapes and files: what is saved and what is loaded."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

import nysformer

Make = Callable[..., Any]
Warned = Callable[[], list[str]]
NAMES = [
    "Model",
    "ForMaskedLM",
    "ForSequenceClassification",
    "ForMultipleChoice",
    "ForTokenClassification",
    "ForQuestionAnswering",
]
LAYER = {
    "attention.output.LayerNorm.bias": (32,),
    "attention.output.LayerNorm.weight": (32,),
    "attention.output.dense.bias": (32,),
    "attention.output.dense.weight": (32, 32),
    "attention.self.conv.weight": (4, 1, 5, 1),
    "attention.self.key.bias": (32,),
    "attention.self.key.weight": (32, 32),
    "attention.self.query.bias": (32,),
    "attention.self.query.weight": (32, 32),
    "attention.self.value.bias": (32,),
    "attention.self.value.weight": (32, 32),
    "intermediate.dense.bias": (48,),
    "intermediate.dense.weight": (48, 32),
    "output.LayerNorm.bias": (32,),
    "output.LayerNorm.weight": (32,),
    "output.dense.bias": (32,),
    "output.dense.weight": (32, 48),
}
BACKBONE = {
    "embeddings.word_embeddings.weight": (99, 32),
    "embeddings.position_embeddings.weight": (258, 32),
    "embeddings.token_type_embeddings.weight": (2, 32),
    "embeddings.LayerNorm.weight": (32,),
    "embeddings.LayerNorm.bias": (32,),
    **{f"encoder.layer.{i}.{key}": shape for i in range(2) for key, shape in LAYER.items()},
}
HEADS = {
    "Model": {},
    "ForMaskedLM": {
        "cls.predictions.bias": (99,),
        "cls.predictions.decoder.bias": (99,),
        "cls.predictions.decoder.weight": (99, 32),
        "cls.predictions.transform.LayerNorm.bias": (32,),
        "cls.predictions.transform.LayerNorm.weight": (32,),
        "cls.predictions.transform.dense.bias": (32,),
        "cls.predictions.transform.dense.weight": (32, 32),
    },
    "ForSequenceClassification": {
        "classifier.dense.bias": (32,),
        "classifier.dense.weight": (32, 32),
        "classifier.out_proj.bias": (3,),
        "classifier.out_proj.weight": (3, 32),
    },
    "ForMultipleChoice": {
        "classifier.bias": (1,),
        "classifier.weight": (1, 32),
        "pre_classifier.bias": (32,),
        "pre_classifier.weight": (32, 32),
    },
    "ForTokenClassification": {"classifier.bias": (3,), "classifier.weight": (3, 32)},
    "ForQuestionAnswering": {"qa_outputs.bias": (2,), "qa_outputs.weight": (2, 32)},
}


@pytest.mark.parametrize("name", NAMES)
def test_names_and_shapes_are_the_published_ones(make: Make, name: str) -> None:
    prefix = "" if name == "Model" else "nystromformer."
    expected = {prefix + key: shape for key, shape in BACKBONE.items()} | HEADS[name]
    assert {key: tuple(value.shape) for key, value in make(name).state_dict().items()} == expected


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("conv_kernel_size", [None, 1, 5, 65])
def test_saved_and_loaded(make: Make, tmp_path: Path, name: str, conv_kernel_size: int | None) -> None:
    model = make(name, conv_kernel_size=conv_kernel_size)
    model.save_pretrained(tmp_path)
    assert (tmp_path / "model.safetensors").is_file()
    again, info = type(model).from_pretrained(tmp_path, output_loading_info=True)
    assert not any(info.values()), info
    for key, value in model.state_dict().items():
        assert torch.equal(value, again.state_dict()[key]), key
    assert any("conv" in key for key in again.state_dict()) != (conv_kernel_size is None)


@pytest.mark.parametrize("name", NAMES[1:])
def test_a_backbone_becomes_a_head_model_and_back(make: Make, tmp_path: Path, name: str) -> None:
    backbone = make("Model")
    backbone.save_pretrained(tmp_path / "backbone")
    model = getattr(nysformer, f"Nystromformer{name}").from_pretrained(tmp_path / "backbone")
    for key, value in backbone.state_dict().items():
        assert torch.equal(value, model.nystromformer.state_dict()[key])
    model.save_pretrained(tmp_path / "head")
    again = nysformer.NystromformerModel.from_pretrained(tmp_path / "head")
    ids = torch.randint(2, 99, (1, 30))
    assert torch.equal(again(ids)[0], backbone(ids)[0])


def test_bin_files_and_old_buffers_load_without_a_word(make: Make, tmp_path: Path, warned: Warned) -> None:
    model = make("ForMaskedLM")
    state = model.state_dict()
    state["nystromformer.embeddings.position_ids"] = torch.arange(256)[None] + 2
    state["nystromformer.embeddings.token_type_ids"] = torch.zeros(1, 256, dtype=torch.long)
    model.config.save_pretrained(tmp_path)
    torch.save(state, tmp_path / "pytorch_model.bin")
    again, info = nysformer.NystromformerForMaskedLM.from_pretrained(tmp_path, output_loading_info=True)
    assert not any(info.values()), info
    ids = torch.randint(2, 99, (1, 30))
    assert torch.equal(again(ids).logits, model(ids).logits)
    backbone = nysformer.NystromformerModel.from_pretrained(tmp_path)
    assert torch.equal(backbone(ids)[0], model.nystromformer(ids)[0])
    assert not [message for message in warned() if "position_ids" in message or "token_type_ids" in message]


def test_buffers_are_not_saved(make: Make, tmp_path: Path) -> None:
    make("Model").save_pretrained(tmp_path)
    assert load_file(tmp_path / "model.safetensors").keys() == BACKBONE.keys()


def test_tied_embeddings(make: Make, tmp_path: Path) -> None:
    model = make("ForMaskedLM")
    predictions = model.cls.predictions
    assert predictions.decoder.weight is model.get_input_embeddings().weight
    assert predictions.decoder.bias is predictions.bias
    model.save_pretrained(tmp_path)
    saved = load_file(tmp_path / "model.safetensors")
    assert ("cls.predictions.decoder.bias" in saved) + ("cls.predictions.bias" in saved) == 1
    again = nysformer.NystromformerForMaskedLM.from_pretrained(tmp_path)
    assert again.cls.predictions.decoder.bias is again.cls.predictions.bias
    assert again.cls.predictions.decoder.weight is again.get_input_embeddings().weight
    assert torch.equal(again.cls.predictions.bias, predictions.bias)


def test_untied_embeddings(make: Make, tmp_path: Path) -> None:
    model = make("ForMaskedLM", tie_word_embeddings=False)
    predictions = model.cls.predictions
    assert predictions.decoder.weight is not model.get_input_embeddings().weight
    assert predictions.decoder.bias is not predictions.bias
    with torch.no_grad():
        predictions.bias.fill_(3.0)
    model.save_pretrained(tmp_path)
    again, info = nysformer.NystromformerForMaskedLM.from_pretrained(tmp_path, output_loading_info=True)
    assert not any(info.values()), info
    for key, value in model.state_dict().items():
        assert torch.equal(value, again.state_dict()[key]), key
    assert again.cls.predictions.decoder.bias is not again.cls.predictions.bias


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("size", [120, 50])
def test_resized_embeddings(make: Make, tmp_path: Path, tied: bool, size: int) -> None:
    model = make("ForMaskedLM", tie_word_embeddings=tied)
    ids = torch.randint(2, 50, (1, 30))
    before = model(ids).logits
    with torch.random.fork_rng():
        model.resize_token_embeddings(size, mean_resizing=False)
    predictions = model.cls.predictions
    assert model.config.vocab_size == size
    assert (predictions.decoder.weight is model.get_input_embeddings().weight) == tied
    assert (predictions.decoder.bias is predictions.bias) == tied
    after = model(ids).logits
    assert after.shape == (1, 30, size)
    torch.testing.assert_close(after[..., :50], before[..., :50])
    model.save_pretrained(tmp_path)
    again, info = nysformer.NystromformerForMaskedLM.from_pretrained(tmp_path, output_loading_info=True)
    assert not any(info.values()), info
    assert torch.equal(again(ids).logits, after)


def test_padding_row_is_zero_at_init(tiny: Make) -> None:
    model = nysformer.NystromformerForMaskedLM(tiny(pad_token_id=1))
    table = model.get_input_embeddings().weight
    assert not table[1].any()
    assert table[0].any()
    torch.testing.assert_close(table[2:].std(), torch.tensor(0.02), rtol=0.1, atol=0)


@pytest.mark.parametrize("name", NAMES)
def test_on_the_meta_device(tiny: Make, make: Make, name: str) -> None:
    with torch.device("meta"):
        empty = getattr(nysformer, f"Nystromformer{name}")(tiny())
    assert all(parameter.is_meta for parameter in empty.parameters())
    model = make(name)
    empty.to_empty(device="cpu").tie_weights()
    empty.load_state_dict(model.state_dict())
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), empty.parameters(), strict=True))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_dtype_on_loading(make: Make, tmp_path: Path, dtype: torch.dtype) -> None:
    make("ForSequenceClassification").save_pretrained(tmp_path)
    model = nysformer.NystromformerForSequenceClassification.from_pretrained(tmp_path, dtype=dtype)
    assert {parameter.dtype for parameter in model.parameters()} == {dtype}


def test_labels_on_loading(make: Make, tmp_path: Path) -> None:
    make("Model").save_pretrained(tmp_path)
    labels = {0: "a", 1: "b", 2: "c", 3: "d"}
    model = nysformer.NystromformerForSequenceClassification.from_pretrained(
        tmp_path,
        id2label=labels,
        label2id={v: k for k, v in labels.items()},
        problem_type="single_label_classification",
    )
    assert model.config.num_labels == 4
    model.save_pretrained(tmp_path / "again")
    assert nysformer.NystromformerConfig.from_pretrained(tmp_path / "again").id2label == labels
