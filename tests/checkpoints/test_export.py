"""Programs for other runtimes: any batch and length, the packed model's numbers (to 1e-4), whole folders or none."""

from pathlib import Path
from typing import Any

import onnxruntime
import pytest
import torch
from tiny import letter_tokenizer, save_classifier
from torch import Tensor

import nysformer
from nysformer import NysformerError, NystromformerConfig
from nysformer.checkpoints import export as module
from nysformer.checkpoints.export import export
from nysformer.checkpoints.load import load_model

HEADS = (
    "Model",
    "ForMaskedLM",
    "ForSequenceClassification",
    "ForMultipleChoice",
    "ForTokenClassification",
    "ForQuestionAnswering",
)


def save(folder: Path, name: str = "Model", **settings: Any) -> Path:
    tokenizer = letter_tokenizer()
    usual: dict[str, Any] = {
        "vocab_size": len(tokenizer),
        "hidden_size": 32,
        "num_hidden_layers": 1,
        "num_attention_heads": 4,
        "intermediate_size": 48,
        "max_position_embeddings": 4_096,
        "num_landmarks": 8,
        "conv_kernel_size": 5,
        "pad_token_id": 0,
        "initializer_range": 0.3,
        "num_labels": 3,
    }
    torch.manual_seed(0)
    getattr(nysformer, f"Nystromformer{name}")(NystromformerConfig(**{**usual, **settings})).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def batches(name: str, *, types: bool = False) -> list[dict[str, Tensor]]:
    """Lengths that are never traced, alone and in padded batches; holes and an empty document, too."""
    made = []
    for shape in ((1, 7), (1, 63), (1, 1_000), (1, 4_096), (1, 1), (3, 9), (4, 300)):
        if name == "ForMultipleChoice":
            shape = (shape[0], 2, shape[1])
        generator = torch.Generator().manual_seed(shape[-1])
        mask = torch.ones(shape, dtype=torch.int64)
        if shape[0] > 1:
            mask = (torch.rand(shape, generator=generator) < 0.8).long()
            mask[0] = 1
            mask[1, ..., 5:] = 0
            mask[2] = 0
        batch = {"input_ids": torch.randint(4, 56, shape, generator=generator), "attention_mask": mask}
        made.append({**batch, "token_type_ids": torch.randint(2, shape, generator=generator)} if types else batch)
    return made


def check_numbers(folder: Path, exported: module.Exported, name: str, *, types: bool = False) -> None:
    model = load_model(folder)
    if exported.path.suffix == ".onnx":
        session = onnxruntime.InferenceSession(str(exported.path))
    else:
        program = torch.export.load(exported.path).module()
    for batch in batches(name, types=types):
        with torch.no_grad():
            expected = model(**batch)
        if exported.path.suffix == ".onnx":
            arrays = session.run(list(exported.outputs), {key: value.numpy() for key, value in batch.items()})
            given = dict(zip(exported.outputs, map(torch.from_numpy, arrays), strict=True))
        else:
            given = program(**batch)
        assert set(given) == set(expected)
        for key, truth in expected.items():
            torch.testing.assert_close(given[key], truth, rtol=1e-4, atol=1e-4)


def test_onnx(tmp_path: Path) -> None:
    folder = save(tmp_path / "model", softmax_max_length=20, chunk_size_feed_forward=16, output_hidden_states=True)
    exported = export(folder, tmp_path / "out", format="onnx", token_types=True)
    assert exported.inputs == ("input_ids", "attention_mask", "token_type_ids")
    assert exported.outputs == ("last_hidden_state",)
    assert exported.difference is not None
    assert exported.difference < 1e-4
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {"model.onnx", "config.json", "tokenizer.json", "tokenizer_config.json"}
    (shape,) = {tuple(each.shape) for each in onnxruntime.InferenceSession(str(exported.path)).get_inputs()}
    assert shape == ("batch", "length")
    folder = save(tmp_path / "plain", softmax_max_length=20)
    check_numbers(folder, exported, "Model", types=True)


def test_torch_export(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = save_classifier(tmp_path / "model", max_position_embeddings=4_096)
    program = module.trace(load_model(folder), ("input_ids", "attention_mask"))
    monkeypatch.setattr(module, "trace", lambda model, inputs: program)
    with monkeypatch.context() as impossible:
        impossible.setattr(module, "TOLERANCE", -1.0)
        with pytest.raises(NysformerError, match="differs from the model by"):
            export(folder, tmp_path / "out", format="torch-export")
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
    exported = export(folder, tmp_path / "out", format="torch-export")
    assert exported.path == tmp_path / "out" / "model.pt2"
    check_numbers(folder, exported, "ForSequenceClassification")


@pytest.mark.parametrize("name", ["ForSequenceClassification", "ForMultipleChoice"])
@pytest.mark.parametrize("pooling", ["mean", "attention"])
def test_pooling(tmp_path: Path, name: str, pooling: str) -> None:
    format: module.Format = "onnx" if pooling == "attention" else "torch-export"
    folder = save(tmp_path / "model", name, classifier_pooling=pooling)
    check_numbers(folder, export(folder, tmp_path / "out", format=format), name)


@pytest.mark.parametrize("format", ["onnx", "torch-export"])
def test_layers_of_the_head(tmp_path: Path, format: module.Format) -> None:
    name = "ForSequenceClassification"
    folder = save(
        tmp_path / "model", name, classifier_pooling="mean", classifier_layers="first+last", classifier_scaling=True
    )
    check_numbers(folder, export(folder, tmp_path / "out", format=format), name)


@pytest.mark.parametrize("format", ["onnx", "torch-export"])
def test_clusters(tmp_path: Path, format: module.Format, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = save(tmp_path / "model", landmarks="clusters", softmax_max_length=20, initializer_range=0.1)
    exported = export(folder, tmp_path / "out", format=format)
    assert exported.difference is not None
    assert exported.difference <= module.CLUSTER_TOLERANCE
    monkeypatch.setattr(module, "CLUSTER_TOLERANCE", -1.0)
    with pytest.raises(NysformerError, match="at 63 tokens, past -1"):
        export(folder, tmp_path / "again", format=format)


@pytest.mark.slow
@pytest.mark.parametrize("format", ["onnx", "torch-export"])
@pytest.mark.parametrize("mode", ["auto", "softmax"])
@pytest.mark.parametrize("name", HEADS)
def test_every_head_in_both_modes(tmp_path: Path, name: str, mode: str, format: module.Format) -> None:
    folder = save(tmp_path / "model", name, attention_mode=mode)
    check_numbers(folder, export(folder, tmp_path / "out", format=format), name)


def test_compiled_for_any_length(tmp_path: Path) -> None:
    """One model, whole graphs, lengths on both sides of the landmarks."""
    torch.compiler.reset()
    model = load_model(save(tmp_path, softmax_max_length=20))
    compiled = torch.compile(model, fullgraph=True, dynamic=True, backend="eager")
    for batch in batches("Model")[::2]:
        with torch.no_grad():
            torch.testing.assert_close(compiled(**batch)[0], model(**batch)[0], rtol=1e-5, atol=1e-5)


def test_what_cannot_be_exported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = save_classifier(tmp_path / "model")
    with pytest.raises(NysformerError, match="format is 'tflite'"):
        export(folder, tmp_path / "out", format="tflite")  # type: ignore[arg-type]
    with pytest.raises(NysformerError, match="something stands there already"):
        export(folder, folder, format="onnx")
    with pytest.raises(NysformerError, match="no such model folder"):
        export(tmp_path / "nothing", tmp_path / "out", format="onnx")
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    with pytest.raises(NysformerError, match=r"needs onnx: run `pip install 'nysformer\[export\]'`"):
        export(folder, tmp_path / "out", format="onnx")
    assert not (tmp_path / "out").exists()
