"""Folders of a peft adapter: merged into the model they were trained on, or refused in one line."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import peft
import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny import letter_tokenizer, load_classifier, save_classifier

import nysformer
from nysformer import NysformerError, NystromformerForSequenceClassification
from nysformer.checkpoints import adapters
from nysformer.checkpoints.convert.run import convert
from nysformer.checkpoints.export import export
from nysformer.checkpoints.inspect import inspect
from nysformer.checkpoints.load import has_tokenizer, load_model, load_tokenizer
from nysformer.inference.predict import Predictor

pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")
IDS = torch.randint(2, 50, (2, 40), generator=torch.Generator().manual_seed(0))


def trained(folder: Path, base: Any = None, **settings: Any) -> tuple[Path, torch.Tensor]:
    """An adapter's folder beside its base's, and the logits of the two together."""
    torch.manual_seed(0)
    if base is None:
        save_classifier(folder / "base")
        base = NystromformerForSequenceClassification.from_pretrained(folder / "base")
    usual = {"task_type": "SEQ_CLS", "target_modules": ["query", "value"], "init_lora_weights": False}
    model = peft.get_peft_model(base, peft.LoraConfig(**(usual | settings))).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "modules_to_save" in name:
                parameter.add_(0.3)
    model.save_pretrained(folder / "adapter")
    return folder / "adapter", model(IDS).logits.detach()


@torch.no_grad()
def test_every_command_reads_base_and_adapter_as_one(tmp_path: Path) -> None:
    adapter, expected = trained(tmp_path)
    plain = load_classifier(tmp_path / "base")
    assert not torch.allclose(plain(IDS).logits, expected, atol=1e-2)
    for model in (load_classifier(adapter), load_model(adapter), load_classifier(adapter, new_head=True)):
        torch.testing.assert_close(model(IDS).logits, expected, rtol=1e-4, atol=1e-4)
        assert model.state_dict().keys() == plain.state_dict().keys()
        assert not model.training
    assert load_classifier(adapter, dtype=torch.bfloat16).dtype == torch.bfloat16
    text = "a b c"
    ids = torch.tensor([letter_tokenizer()(text)["input_ids"]])
    predictor = Predictor.from_pretrained(adapter)
    (answer,) = predictor.predict([text])
    logits = load_classifier(adapter)(ids).logits[0]
    assert answer.label == ["ham", "spam", "eggs"][int(logits.argmax())]
    assert export(adapter, tmp_path / "program", format="torch-export").path.is_file()
    assert (tmp_path / "program" / "tokenizer.json").is_file()


def test_the_tokenizer_is_the_adapters_own_or_its_bases(tmp_path: Path) -> None:
    adapter, _ = trained(tmp_path)
    assert has_tokenizer(adapter)
    assert load_tokenizer(adapter)("a")["input_ids"] == [2, 4, 3]
    tokenizer = letter_tokenizer()
    tokenizer.add_tokens(["aa"])
    tokenizer.save_pretrained(adapter)
    assert len(load_tokenizer(adapter)) == 57


@torch.no_grad()
def test_a_head_that_only_the_adapter_has(tmp_path: Path) -> None:
    """The base is an encoder without a head; the labels stand in a config.json beside the adapter."""
    save_classifier(tmp_path / "classifier")
    encoder = nysformer.NystromformerModel.from_pretrained(tmp_path / "classifier")
    encoder.config.id2label = {0: "no", 1: "yes"}
    encoder.save_pretrained(tmp_path / "base")
    letter_tokenizer().save_pretrained(tmp_path / "base")
    names = {0: "a", 1: "b", 2: "c", 3: "d"}
    base = NystromformerForSequenceClassification.from_pretrained(tmp_path / "base", id2label=names)
    adapter, expected = trained(tmp_path, base)
    with pytest.raises(NysformerError, match=r"head has 4 labels and .*base names 2; save a config\.json"):
        load_classifier(adapter)
    base.config.save_pretrained(adapter)
    model = load_classifier(adapter)
    assert model.config.id2label == names
    torch.testing.assert_close(model(IDS).logits, expected, rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_what_the_adapters_head_reads(tmp_path: Path) -> None:
    """The base reads the first token of the last layer; what the adapter was trained with stands beside it."""
    save_classifier(tmp_path / "base")
    nysformer.NystromformerModel.from_pretrained(tmp_path / "base").save_pretrained(tmp_path / "base")
    reads = {"classifier_pooling": "mean", "classifier_layers": "first+last", "classifier_scaling": True}
    base = NystromformerForSequenceClassification.from_pretrained(tmp_path / "base", **reads)
    adapter, expected = trained(tmp_path, base)
    base.config.save_pretrained(adapter)
    torch.testing.assert_close(load_classifier(adapter)(IDS).logits, expected, rtol=1e-4, atol=1e-4)


def test_an_adapter_without_a_head_on_an_encoder_without_one(tmp_path: Path) -> None:
    save_classifier(tmp_path / "classifier")
    nysformer.NystromformerModel.from_pretrained(tmp_path / "classifier").save_pretrained(tmp_path / "base")
    base = nysformer.NystromformerModel.from_pretrained(tmp_path / "base")
    adapter = tmp_path / "adapter"
    settings = peft.LoraConfig(task_type="FEATURE_EXTRACTION", target_modules=["query"])
    peft.get_peft_model(base, settings).save_pretrained(adapter)
    assert isinstance(load_model(adapter), nysformer.NystromformerModel)
    with pytest.raises(NysformerError):
        load_classifier(adapter)


def setting(name: str, value: Any) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        path = folder / "adapter_config.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | {name: value}))

    return change


def spoil(folder: Path) -> None:
    path = folder / "adapter_model.safetensors"
    state = load_file(path)
    next(value for key, value in state.items() if "lora_B" in key)[0, 0] = float("nan")
    save_file(state, path, {"format": "pt"})


def lose(folder: Path) -> None:
    path = folder / "adapter_model.safetensors"
    state = load_file(path)
    state.pop(next(key for key in state if "lora_B" in key))
    save_file(state, path, {"format": "pt"})


def add_a_whole_model(folder: Path) -> None:
    for name in ("config.json", "model.safetensors"):
        shutil.copy(folder.with_name("base") / name, folder / name)


FAULTS: dict[str, tuple[Callable[[Path], Any], str]] = {
    "no base": (setting("base_model_name_or_path", None), "does not say which model"),
    "a moved base": (setting("base_model_name_or_path", "/nowhere/at/all"), "/nowhere/at/all, which is no folder here"),
    "another kind": (setting("peft_type", "MAGIC"), "does not fit"),
    "not JSON": (
        lambda folder: (folder / "adapter_config.json").write_text("{"),
        "adapter_config.json: not valid JSON",
    ),
    "cut": (lambda folder: (folder / "adapter_model.safetensors").write_bytes(b"cut"), "cannot be read"),
    "no weights": (lambda folder: (folder / "adapter_model.safetensors").unlink(), "does not fit"),
    "not whole": (lose, "weights are not whole"),
    "not finite": (spoil, "is not finite, it holds NaN"),
    "other modules": (setting("target_modules", ["nothing"]), "does not fit"),
    "a whole model too": (add_a_whole_model, "a whole model and an adapter too"),
    "a damaged base": (lambda folder: (folder.with_name("base") / "config.json").write_text("{"), "not valid JSON"),
    "a foreign base": (
        lambda folder: (folder.with_name("base") / "config.json").write_text('{"model_type": "gpt2"}'),
        "type is 'gpt2'",
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_faults_are_one_line(tmp_path: Path, name: str) -> None:
    adapter, _ = trained(tmp_path)
    damage, words = FAULTS[name]
    damage(adapter)
    for read in (load_classifier, load_model, Predictor.from_pretrained):
        with pytest.raises(NysformerError, match=words) as caught:
            read(adapter)
        assert "\n" not in str(caught.value)


def test_a_base_beside_the_adapter(tmp_path: Path) -> None:
    adapter, expected = trained(tmp_path)
    setting("base_model_name_or_path", "../base")(adapter)
    torch.testing.assert_close(load_classifier(adapter)(IDS).logits, expected, rtol=1e-4, atol=1e-4)


def test_without_peft(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    adapter, _ = trained(tmp_path)
    monkeypatch.setattr(adapters, "find_spec", lambda name: None)
    with pytest.raises(NysformerError, match=r"needs peft: run `pip install 'nysformer\[adapters\]'`"):
        load_classifier(adapter)


def test_commands_that_read_whole_models_say_how_to_merge(tmp_path: Path) -> None:
    adapter, _ = trained(tmp_path)
    with pytest.raises(NysformerError, match="an adapter, and inspect reads whole models"):
        inspect(adapter)
    with pytest.raises(NysformerError, match="an adapter, and convert reads whole models"):
        convert(adapter, tmp_path / "converted")


@torch.no_grad()
@pytest.mark.parametrize("conv", [5, None])
def test_from_pretrained_attaches_the_adapter(tmp_path: Path, conv: int | None) -> None:
    """transformers' own way: base and adapter are loaded, and not merged."""
    save_classifier(tmp_path / "base", conv_kernel_size=conv)
    base = NystromformerForSequenceClassification.from_pretrained(tmp_path / "base")
    adapter, expected = trained(tmp_path, base)
    model, info = NystromformerForSequenceClassification.from_pretrained(adapter, output_loading_info=True)
    assert model.config.conv_kernel_size == conv
    assert not info["unexpected_keys"]
    torch.testing.assert_close(model(IDS).logits, expected, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(load_classifier(adapter)(IDS).logits, expected, rtol=1e-4, atol=1e-4)
    with pytest.raises(NysformerError, match="has an adapter"):
        nysformer.optimize(model)
