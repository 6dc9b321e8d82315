import json
import logging
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from nysformer import NystromformerConfig, NystromformerForMaskedLM, NystromformerModel
from nysformer.checkpoints.load import check_model, label_names, load_classifier, load_tokenizer
from nysformer.errors import NysformerError


@pytest.fixture
def copy(classifier: Path, tmp_path: Path) -> Path:
    return shutil.copytree(classifier, tmp_path / "copy")


def change_config(folder: Path, **values: Any) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def change_weights(folder: Path, change: Callable[[dict[str, torch.Tensor]], object]) -> None:
    path = folder / "model.safetensors"
    weights = load_file(path)
    change(weights)
    save_file(weights, path, metadata={"format": "pt"})


def test_every_weight_comes_from_the_checkpoint(classifier: Path, capfd: pytest.CaptureFixture[str]) -> None:
    model = load_classifier(classifier)
    assert not model.training
    assert label_names(model.config) == ["ham", "spam", "eggs"]
    saved = load_file(classifier / "model.safetensors")
    assert {name: tensor.dtype for name, tensor in model.state_dict().items()} == dict.fromkeys(saved, torch.float32)
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, saved[name]), name
    assert load_classifier(classifier, dtype=torch.bfloat16).dtype == torch.bfloat16
    assert capfd.readouterr() == ("", "")


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda f: shutil.rmtree(f), "no such model folder"),
        (lambda f: (f / "config.json").unlink(), "no config.json"),
        (lambda f: (f / "config.json").write_text("{"), "config.json: not valid JSON"),
        (lambda f: (f / "config.json").write_text("[]"), "not a JSON object"),
        (lambda f: change_config(f, model_type="bert"), "nysformer.from_bert"),
        (lambda f: change_config(f, model_type="gpt2"), "the model's type is 'gpt2'"),
        (lambda f: change_config(f, hidden_size="wide"), "config.json is not usable"),
        (lambda f: change_config(f, num_attention_heads=5), "multiple of num_attention_heads"),
        (lambda f: change_config(f, hidden_size=64), "do not match its config.json"),
        (lambda f: change_config(f, num_hidden_layers=1), "do not match its config.json"),
        (lambda f: change_config(f, num_hidden_layers=3), "do not match its config.json"),
        (lambda f: change_config(f, id2label={"0": "a", "1": "b"}), "no trained classification head of 2 labels"),
        (lambda f: (f / "model.safetensors").unlink(), "no weights"),
        (lambda f: (f / "model.safetensors").write_bytes(b""), "weights cannot be read"),
        (lambda f: (f / "model.safetensors").write_bytes(b"no weights at all"), "weights cannot be read"),
        (lambda f: cut(f / "model.safetensors"), "weights cannot be read"),
        (
            lambda f: change_weights(f, lambda weights: weights.pop("classifier.out_proj.weight")),
            "no trained classification head",
        ),
        (
            lambda f: change_weights(
                f, lambda weights: weights.pop("nystromformer.encoder.layer.0.attention.self.conv.weight")
            ),
            "do not match its config.json",
        ),
    ],
)
def test_damage_is_one_line(copy: Path, damage: Callable[[Path], object], words: str) -> None:
    damage(copy)
    with pytest.raises(NysformerError, match=words) as caught:
        load_classifier(copy)
    assert "\n" not in str(caught.value)


def test_pickled_weights(copy: Path) -> None:
    path = copy / "model.safetensors"
    torch.save(load_file(path), copy / "pytorch_model.bin")
    path.unlink()
    assert torch.isfinite(load_classifier(copy).classifier.out_proj.weight).all()
    cut(copy / "pytorch_model.bin")
    with pytest.raises(NysformerError, match="weights cannot be read"):
        load_classifier(copy)


def test_a_pickle_that_runs_code_is_refused(copy: Path, tmp_path: Path) -> None:
    class Bomb:
        def __reduce__(self) -> tuple[Any, ...]:
            return (Path.touch, (tmp_path / "ran",))

    (copy / "model.safetensors").unlink()
    torch.save({"x": Bomb()}, copy / "pytorch_model.bin")
    with pytest.raises(NysformerError, match="weights cannot be read"):
        load_classifier(copy)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("source", [NystromformerModel, NystromformerForMaskedLM])
def test_an_encoder_classifies_only_after_training(
    copy: Path, source: type[NystromformerModel], capfd: pytest.CaptureFixture[str]
) -> None:
    encoder = source(NystromformerConfig.from_pretrained(copy))
    encoder.save_pretrained(copy)
    capfd.readouterr()
    with pytest.raises(NysformerError, match="no trained classification head of 3 labels"):
        load_classifier(copy)
    names = dict(enumerate("abcde"))
    model = load_classifier(copy, new_head=True, id2label=names, label2id={name: i for i, name in names.items()})
    assert model.classifier.out_proj.weight.shape == (5, 32)
    assert torch.equal(
        model.nystromformer.embeddings.word_embeddings.weight, encoder.base_model.embeddings.word_embeddings.weight
    )
    assert capfd.readouterr() == ("", "")


def test_a_new_head_of_another_size_keeps_the_body(classifier: Path) -> None:
    old, new = load_classifier(classifier), load_classifier(classifier, new_head=True, num_labels=7)
    assert new.classifier.out_proj.weight.shape == (7, 32)
    for name, tensor in old.nystromformer.state_dict().items():
        assert torch.equal(new.nystromformer.state_dict()[name], tensor)


def test_other_warnings_of_the_loader_are_not_silenced(copy: Path) -> None:
    load_classifier(copy)
    assert logging.getLogger("transformers.modeling_utils").filters == []


def test_tokenizer(classifier: Path, copy: Path) -> None:
    assert load_tokenizer(classifier)("ab c")["input_ids"] == [2, 4, 31, 6, 3]
    (copy / "tokenizer.json").write_text("{")
    with pytest.raises(NysformerError, match="tokenizer cannot be read") as caught:
        load_tokenizer(copy)
    assert "\n" not in str(caught.value)
    (copy / "tokenizer.json").unlink()
    with pytest.raises(NysformerError, match="no tokenizer in the folder"):
        load_tokenizer(copy)


def test_tokenizer_of_a_model_without_convolution(make_classifier: Callable[..., Path]) -> None:
    # transformers' own configuration refuses null there, and its tokenizer loader reads the configuration
    folder = make_classifier(conv_kernel_size=None)
    assert load_tokenizer(folder)("a")["input_ids"] == [2, 4, 3]
    assert load_classifier(folder).config.conv_kernel_size is None


def test_check_model_asks_the_hub_only_when_told(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def answer(name: str) -> tuple[dict[str, str], dict[str, str]]:
        asked.append(name)
        if name == "some/bert":
            return {"model_type": "bert"}, {}
        if name == "some/nystromformer":
            return {"model_type": "nystromformer"}, {}
        raise OSError("We couldn't connect\nto the hub")

    monkeypatch.setattr(NystromformerConfig, "get_config_dict", answer)
    with pytest.raises(NysformerError, match="no such model folder"):
        check_model("some/nystromformer")
    assert asked == []
    check_model("some/nystromformer", hub=True)
    with pytest.raises(NysformerError, match="from_bert"):
        check_model("some/bert", hub=True)
    with pytest.raises(NysformerError, match=r"nor found on the hub \(We couldn't connect to the hub\)"):
        check_model("some/thing", hub=True)
