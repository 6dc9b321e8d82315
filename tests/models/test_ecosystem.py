"""Adapters, offload, the Trainer and the hub's folder, on our models as they are."""

import os
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import accelerate
import peft
import pytest
import torch
from tiny import letter_tokenizer, save_classifier
from torch.utils.data import Dataset
from transformers import DataCollatorWithPadding, Trainer, TrainingArguments

import nysformer

Make = Callable[..., Any]
HEADS = {
    "ForSequenceClassification": "SEQ_CLS",
    "ForTokenClassification": "TOKEN_CLS",
    "ForQuestionAnswering": "QUESTION_ANS",
    "Model": "FEATURE_EXTRACTION",
    "ForMaskedLM": None,
}


def step(model: Any, inputs: dict[str, Any]) -> None:
    """One step of training, large enough to see."""
    optimizer = torch.optim.SGD([each for each in model.parameters() if each.requires_grad], lr=0.5)
    first = model(**inputs)[0]
    (first if first.dim() == 0 else first.square().mean()).backward()
    optimizer.step()


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")  # PEFT asks for it
@pytest.mark.parametrize("name", HEADS)
def test_lora_is_trained_saved_loaded_and_merged(make: Make, labelled: Make, tmp_path: Path, name: str) -> None:
    inputs = labelled(name, 2, 40)
    settings = peft.LoraConfig(r=2, target_modules=["query", "value"], task_type=HEADS[name])
    base = make(name)
    base.save_pretrained(tmp_path / "base")
    plain = base(**inputs)[-1].detach()
    model = peft.get_peft_model(base, settings)
    frozen = {key for key, value in model.named_parameters() if not value.requires_grad}
    assert any("attention.self.key.weight" in key for key in frozen)
    for _ in range(2):  # the second factor starts at zero, so the first learns from the second step on
        step(model, inputs)
    model.eval()
    with torch.no_grad():
        tuned = model(**inputs)[-1]
        assert not torch.allclose(tuned, plain, atol=1e-3)
        model.save_pretrained(tmp_path / "adapter")
        loaded = type(make(name)).from_pretrained(tmp_path / "base")
        again = peft.PeftModel.from_pretrained(loaded, str(tmp_path / "adapter")).eval()
        assert torch.equal(again(**inputs)[-1], tuned)
        merged = again.merge_and_unload()
        assert type(merged) is type(make(name))
        torch.testing.assert_close(merged(**inputs)[-1], tuned, rtol=1e-4, atol=1e-4)
        merged.save_pretrained(tmp_path / "merged")
        from_disk = type(merged).from_pretrained(tmp_path / "merged")
        assert torch.equal(from_disk(**inputs)[-1], merged(**inputs)[-1])


@pytest.mark.parametrize("where", ["cpu", "disk"])
@pytest.mark.parametrize("name", ["Model", "ForMaskedLM", "ForSequenceClassification"])
@torch.no_grad()
def test_accelerate_offload(make: Make, labelled: Make, tmp_path: Path, name: str, where: str) -> None:
    inputs = {"input_ids": labelled(name, 2, 40)["input_ids"]}
    model = make(name)
    expected = model(**inputs)[0]
    if where == "cpu":
        offloaded = accelerate.cpu_offload(model, execution_device="cpu")
    else:
        offloaded = accelerate.disk_offload(model, str(tmp_path), execution_device="cpu")
    assert any(parameter.is_meta for parameter in offloaded.parameters())
    torch.testing.assert_close(offloaded(**inputs)[0], expected, rtol=1e-5, atol=1e-5)


def test_a_device_map_keeps_layers_whole(make: Make) -> None:
    sizes = accelerate.infer_auto_device_map(
        make("Model"), max_memory={0: 20_000, "cpu": 10**9}, no_split_module_classes=make("Model")._no_split_modules
    )
    assert all(not key.startswith("encoder.layer.0.") for key in sizes), sizes


class Documents(Dataset):
    """Documents of one letter, labelled by it."""

    def __len__(self) -> int:
        return 24

    def __getitem__(self, index: int) -> dict[str, Any]:
        return {"input_ids": [2, *[4 + index % 3] * (5 + 3 * index), 3], "labels": index % 3}


@pytest.mark.parametrize("mode", ["softmax", "nystrom"])
def test_the_plain_trainer(make: Make, tmp_path: Path, mode: str) -> None:
    torch.manual_seed(0)
    model = make("ForSequenceClassification", attention_mode=mode)
    trainer = Trainer(
        model=model,
        args=TrainingArguments(
            str(tmp_path),
            max_steps=12,
            per_device_train_batch_size=8,
            learning_rate=3e-3,
            logging_steps=4,
            report_to="none",
            disable_tqdm=True,
            use_cpu=True,
            dataloader_pin_memory=False,
            save_steps=12,
        ),
        train_dataset=Documents(),
        eval_dataset=Documents(),
        data_collator=DataCollatorWithPadding(letter_tokenizer()),
    )
    before = trainer.evaluate()["eval_loss"]
    trainer.train()
    assert trainer.evaluate()["eval_loss"] < before
    again = type(model).from_pretrained(tmp_path / "checkpoint-12")
    assert all(torch.equal(a, b) for a, b in zip(again.parameters(), model.parameters(), strict=True))


def test_what_is_pushed_to_the_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The upload itself is caught: no network."""
    sent: dict[str, list[str]] = {}

    def create_commit(repo_id: str, operations: list[Any], **_: Any) -> None:
        sent[repo_id] = sent.get(repo_id, []) + [operation.path_in_repo for operation in operations]

    hub = SimpleNamespace(
        create_repo=lambda repo_id, **_: SimpleNamespace(repo_id=repo_id), create_commit=create_commit
    )
    monkeypatch.setattr("transformers.utils.hub.hf_api", lambda: hub)
    monkeypatch.setattr(
        "transformers.utils.hub.create_and_tag_model_card",
        lambda *_, **__: SimpleNamespace(save=lambda path: Path(path).write_text("card")),
    )
    model = nysformer.NystromformerForSequenceClassification.from_pretrained(save_classifier(tmp_path / "model"))
    model.push_to_hub("someone/letters")
    letter_tokenizer().push_to_hub("someone/letters")
    names = {os.path.basename(path) for path in sent["someone/letters"]}
    assert {"README.md", "config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"} <= names
