"""The masked language model's loss: only rows with a label go back through the vocabulary."""

from collections.abc import Callable
from typing import Any

import peft
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch._dynamo.testing import CompileCounter

from nysformer.models import masked_lm

Make = Callable[..., Any]


@pytest.fixture
def inputs() -> dict[str, Tensor]:
    """32 real tokens of 60; 5 labels that count, and labels under the mask that do not."""
    generator = torch.Generator().manual_seed(0)
    mask = torch.ones(3, 20, dtype=torch.long)
    mask[1, 7:], mask[2, 5:] = 0, 0
    labels = torch.full((3, 20), -100)
    labels[0, [2, 9, 17]], labels[1, [0, 6]], labels[2, 5:] = 7, 50, 10**6
    ids = torch.randint(2, 99, (3, 20), generator=generator)
    return {"input_ids": ids, "attention_mask": mask, "labels": labels}


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Rows of every product with the vocabulary, in order."""
    rows: list[int] = []
    project = masked_lm.project

    def spy(module: nn.Module, x: Tensor) -> Tensor:
        if getattr(module, "out_features", 0) == 99:
            rows.append(len(x))
        return project(module, x)

    monkeypatch.setattr(masked_lm, "project", spy)
    return rows


def expected_loss(output: Any, labels: Tensor) -> Tensor:
    """The loss by its formula, from the logits."""
    return F.cross_entropy(output.logits.flatten(0, 1), labels.masked_fill(labels > 99, -100).flatten())


@pytest.mark.parametrize("also_logits", [False, True])
@pytest.mark.parametrize("tied", [True, False])
def test_loss_and_gradients_are_those_of_all_rows(
    make: Make, inputs: dict[str, Tensor], decoded: list[int], tied: bool, also_logits: bool
) -> None:
    model = make("ForMaskedLM", tie_word_embeddings=tied).double()
    results = []
    for ours in (True, False):
        model.zero_grad()
        output = model(**inputs)
        loss = output.loss if ours else expected_loss(output, inputs["labels"])
        (loss + output.logits.square().mean() if also_logits else loss).backward()
        results.append([loss.detach(), *(p.grad for p in model.parameters() if p.grad is not None)])
    assert decoded == [5, 32] * 2
    for a, b in zip(*results, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-9)


def test_without_a_gradient_all_rows_are_decoded_once(
    make: Make, inputs: dict[str, Tensor], decoded: list[int]
) -> None:
    model = make("ForMaskedLM")
    with torch.no_grad():
        output = model(**inputs)
    torch.testing.assert_close(output.loss, expected_loss(output, inputs["labels"]))
    model.requires_grad_(False)(**inputs)
    assert decoded == [32, 32]


def test_with_labels_on_half_of_the_rows_all_are_decoded_once(
    make: Make, inputs: dict[str, Tensor], decoded: list[int]
) -> None:
    inputs["labels"][0, :13] = 3
    output = make("ForMaskedLM")(**inputs)
    torch.testing.assert_close(output.loss, expected_loss(output, inputs["labels"]))
    assert decoded == [32]


@pytest.mark.parametrize("place", ["cls", "cls.predictions", "cls.predictions.transform", "cls.predictions.decoder"])
def test_hooks_see_one_call_with_every_real_token(make: Make, inputs: dict[str, Tensor], place: str) -> None:
    model, seen = make("ForMaskedLM"), []
    plain = model(**inputs)
    model.get_submodule(place).register_forward_hook(lambda _module, arguments, _output: seen.append(len(arguments[0])))
    hooked = model(**inputs)
    torch.testing.assert_close((hooked.loss, hooked.logits), (plain.loss, plain.logits))
    assert seen == [32]


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")
def test_an_adapter_on_the_decoder_is_called_once(make: Make, inputs: dict[str, Tensor]) -> None:
    """Its dropout would differ between two calls."""
    config = peft.LoraConfig(target_modules=["decoder"], r=2, lora_dropout=0.5, init_lora_weights=False)
    model = peft.get_peft_model(make("ForMaskedLM", tie_word_embeddings=False), config).train()
    output = model(**inputs)
    torch.testing.assert_close(output.loss, expected_loss(output, inputs["labels"]))


@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf:UserWarning")
@pytest.mark.parametrize("place", ["cls", "cls.predictions.transform"])
def test_a_compiled_head_runs_compiled(make: Make, inputs: dict[str, Tensor], place: str) -> None:
    torch.compiler.reset()
    model, counter = make("ForMaskedLM"), CompileCounter()
    plain = model(**inputs)
    model.get_submodule(place).compile(backend=counter)
    output = model(**inputs)
    assert counter.frame_count > 0
    torch.testing.assert_close((output.loss, output.logits), (plain.loss, plain.logits))


def test_a_head_of_another_class_is_called(make: Make, inputs: dict[str, Tensor]) -> None:
    model = make("ForMaskedLM")
    model.cls = nn.Linear(32, 99)
    output = model(**inputs)
    torch.testing.assert_close(output.loss, expected_loss(output, inputs["labels"]))


def test_training_in_checkpointed_layers(make: Make, inputs: dict[str, Tensor]) -> None:
    results = []
    for checkpointing in (False, True):
        model = make("ForMaskedLM", hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0).train()
        if checkpointing:
            model.activation_checkpointing_enable()
        model(**inputs).loss.backward()
        results.append([p.grad for p in model.parameters()])
    for a, b in zip(*results, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-6)
