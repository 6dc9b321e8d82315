"""A folder without convolution loads everywhere, with its numbers, and comes back without convolution."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file
from tiny import letter_tokenizer, save_classifier
from transformers import AutoTokenizer, BertConfig, BertModel, Trainer, TrainingArguments

import nysformer
from nysformer import NystromformerConfig, NystromformerForSequenceClassification, NystromformerModel
from nysformer.checkpoints.convert.run import convert
from nysformer.checkpoints.load import load_classifier, load_model, load_tokenizer

Make = Callable[..., Any]
IDS = torch.randint(2, 50, (3, 64), generator=torch.Generator().manual_seed(0))


def convolutions(model: Any) -> list[Any]:
    return [layer.attention.self.conv for layer in model.base_model.encoder.layer]


def settings(folder: Path) -> dict[str, Any]:
    values: dict[str, Any] = json.loads((folder / "config.json").read_text())
    return values


@pytest.mark.parametrize("mode", ["softmax", "nystrom"])
@pytest.mark.parametrize("name", ["Model", "ForMaskedLM", "ForSequenceClassification", "ForTokenClassification"])
@torch.no_grad()
def test_transformers_gives_the_same_numbers(make: Make, tmp_path: Path, name: str, mode: str) -> None:
    ours = make(name, conv_kernel_size=None, attention_mode=mode, segment_means_seq_len=64)
    ours.save_pretrained(tmp_path)
    kind = getattr(transformers, f"Nystromformer{name}")
    theirs, info = kind.from_pretrained(tmp_path, output_loading_info=True)
    assert not info["missing_keys"]
    assert not info["unexpected_keys"]
    for row in IDS:
        expected = ours(row[None])[0]
        scale = float(expected.abs().max())
        torch.testing.assert_close(theirs.eval()(row[None])[0], expected, rtol=0, atol=1e-5 * max(1.0, scale))


@torch.no_grad()
def test_ours_comes_back_without_convolution(make: Make, tmp_path: Path, warned: Callable[[], list[str]]) -> None:
    ours = make("ForSequenceClassification", conv_kernel_size=None)
    ours.save_pretrained(tmp_path)
    kind = NystromformerForSequenceClassification
    config = NystromformerConfig.from_pretrained(tmp_path)
    assert config.conv_kernel_size is None
    for again, info in (
        kind.from_pretrained(tmp_path, output_loading_info=True),
        kind.from_pretrained(tmp_path, config=config, output_loading_info=True),
        kind.from_pretrained(tmp_path, conv_kernel_size=None, output_loading_info=True),
    ):
        assert convolutions(again) == [None, None]
        assert again.config.conv_kernel_size is None
        assert not any(info.values())
        assert again.state_dict().keys() == ours.state_dict().keys()
        assert torch.equal(again(IDS).logits, ours(IDS).logits)
    assert config.conv_kernel_size is None, "the caller's own is left alone"
    ours.load_state_dict(load_file(tmp_path / "model.safetensors"))
    assert convolutions(load_classifier(tmp_path)) == convolutions(load_model(tmp_path)) == [None, None]
    assert not [message for message in warned() if "conv" in message and "kernel of zeros" not in message]


@torch.no_grad()
def test_kernels_that_transformers_trained_are_kept(make: Make, tmp_path: Path) -> None:
    make("ForSequenceClassification", conv_kernel_size=None, attention_mode="softmax").save_pretrained(tmp_path)
    theirs = transformers.NystromformerForSequenceClassification.from_pretrained(tmp_path).eval()
    theirs.save_pretrained(tmp_path / "unchanged")
    assert convolutions(load_classifier(tmp_path / "unchanged")) == [None, None]
    theirs.nystromformer.encoder.layer[1].attention.self.conv.weight[2] = 0.5
    theirs.save_pretrained(tmp_path / "trained")
    ours = load_classifier(tmp_path / "trained")
    assert ours.config.conv_kernel_size == 1
    torch.testing.assert_close(ours(IDS).logits, theirs(IDS).logits, rtol=0, atol=1e-4)
    ours.save_pretrained(tmp_path / "again")
    assert "zero_convolution" not in settings(tmp_path / "again")
    assert torch.equal(load_classifier(tmp_path / "again")(IDS).logits, ours(IDS).logits)


@torch.no_grad()
def test_folders_of_before_and_weights_without_zeros_still_load(make: Make, tmp_path: Path) -> None:
    ours = make("ForSequenceClassification", conv_kernel_size=None)
    ours.config.save_pretrained(tmp_path)
    save_file(ours.state_dict(), tmp_path / "model.safetensors", {"format": "pt"})
    ours.config.architectures = ["NystromformerForSequenceClassification"]
    for values in (settings(tmp_path), settings(tmp_path) | {"conv_kernel_size": None}):
        (tmp_path / "config.json").write_text(json.dumps(values))
        again = load_classifier(tmp_path)
        assert convolutions(again) == [None, None]
        assert torch.equal(again(IDS).logits, ours(IDS).logits)


def test_a_kernel_of_one_that_starts_at_zero_stays(make: Make, tmp_path: Path) -> None:
    ours = make("Model", conv_kernel_size=1)
    with torch.no_grad():
        for kernel in convolutions(ours):
            kernel.weight.zero_()
    ours.save_pretrained(tmp_path)
    assert all(kernel is not None for kernel in convolutions(NystromformerModel.from_pretrained(tmp_path)))


def test_pruned_heads_and_shards(make: Make, tmp_path: Path) -> None:
    ours = make("ForMaskedLM", conv_kernel_size=None)
    ours.prune_heads({0: [1, 3]})
    ours.save_pretrained(tmp_path, max_shard_size="20KB")
    again, info = nysformer.NystromformerForMaskedLM.from_pretrained(tmp_path, output_loading_info=True)
    assert not any(info.values())
    assert torch.equal(again(IDS).logits, ours(IDS).logits)


def test_a_config_alone(tmp_path: Path) -> None:
    config = NystromformerConfig(conv_kernel_size=None)
    assert NystromformerConfig.from_dict(config.to_dict()).conv_kernel_size is None
    assert NystromformerConfig(**config.to_dict()).conv_kernel_size is None
    assert transformers.NystromformerConfig.from_dict(config.to_dict()).conv_kernel_size == 1
    config.conv_kernel_size = 5
    assert config.to_dict()["conv_kernel_size"] == 5
    assert "zero_convolution" not in config.to_dict()


def fine_tuned(folder: Path) -> Path:
    """The checkpoint of a plain Trainer, which saves the tokenizer too."""
    model = load_classifier(save_classifier(folder / "base", conv_kernel_size=None))
    trainer = Trainer(
        model=model,
        args=TrainingArguments(
            str(folder), max_steps=1, save_steps=1, report_to="none", disable_tqdm=True, use_cpu=True
        ),
        train_dataset=[{"input_ids": [2, 5, 3], "labels": 0}] * 4,
        processing_class=letter_tokenizer(),
    )
    trainer.args.dataloader_pin_memory = False
    trainer.train()
    trainer.train(resume_from_checkpoint=str(folder / "checkpoint-1"))
    return folder / "checkpoint-1"


def converted(folder: Path) -> Path:
    source = folder / "bert"
    config = BertConfig(vocab_size=56, hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=64)
    BertModel(config).save_pretrained(source)
    letter_tokenizer().save_pretrained(source)
    convert(source, folder / "converted")
    return folder / "converted"


def test_a_fresh_process_that_never_heard_of_nysformer(tmp_path: Path) -> None:
    folders = [
        save_classifier(tmp_path / "saved", conv_kernel_size=None),
        fine_tuned(tmp_path / "trained"),
        converted(tmp_path / "converted"),
    ]
    program = (
        "import json, sys\n"
        "from transformers import AutoTokenizer\n"
        "print(json.dumps([AutoTokenizer.from_pretrained(folder)('a b')['input_ids'] for folder in sys.argv[1:]]))\n"
        "assert 'nysformer' not in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", program, *map(str, folders)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    expected = letter_tokenizer()("a b")["input_ids"]
    assert json.loads(done.stdout.splitlines()[-1]) == [expected] * 3
    for folder in folders:
        assert AutoTokenizer.from_pretrained(folder)("a b")["input_ids"] == expected
        assert load_tokenizer(folder)("a b")["input_ids"] == expected
