"""A batch without a real token still reaches every parameter, so that data-parallel training does not wait for it."""

from collections.abc import Callable
from typing import Any

import pytest
import torch

import nysformer

Make = Callable[..., Any]
# Heads whose loss asks something of tokens have nothing to ask; the others answer from their biases.
ASKED = {"ForSequenceClassification", "ForMultipleChoice"}
NAMES = [
    "Model",
    "ForMaskedLM",
    "ForSequenceClassification",
    "ForTokenClassification",
    "ForMultipleChoice",
    "ForQuestionAnswering",
]


@pytest.mark.filterwarnings("ignore:`gradient_checkpointing_enable` is deprecated:FutureWarning")
@pytest.mark.parametrize("checkpointing", [False, True])
@pytest.mark.parametrize("implementation", ["sdpa", "eager"])
@pytest.mark.parametrize("mode", ["auto", "softmax"])
@pytest.mark.parametrize("name", NAMES)
def test_every_parameter_has_a_gradient(
    make: Make, labelled: Make, name: str, mode: str, implementation: str, checkpointing: bool
) -> None:
    model = make(name, attention_mode=mode, attn_implementation=implementation).train()
    if checkpointing:
        model.gradient_checkpointing_enable()
    for batch in (1, 3):
        for maps in (False, True):
            model.zero_grad()
            inputs = labelled(name, batch, 20)
            output = model(**inputs, attention_mask=torch.zeros_like(inputs["input_ids"]), output_attentions=maps)
            loss = output[0] if name != "Model" else output[0].square().sum()
            assert loss.isfinite()
            assert name in ASKED or loss == 0
            loss.backward()
            gradients = {key: each.grad for key, each in model.named_parameters()}
            assert not [key for key, gradient in gradients.items() if gradient is None]
            backbone = [key for key in gradients if "encoder." in key or "embeddings." in key]
            assert len(backbone) >= 36
            assert not any(gradients[key].any() for key in backbone)
            assert all(gradient.isfinite().all() for gradient in gradients.values())


def test_some_documents_are_empty(make: Make, labelled: Make) -> None:
    model, inputs = make("ForTokenClassification").train(), labelled("ForTokenClassification", 3, 20)
    mask = torch.ones(3, 20)
    mask[1] = 0
    model(**inputs, attention_mask=mask).loss.backward()
    assert all(each.grad is not None and each.grad.isfinite().all() for each in model.parameters())


def test_nystrom_attention_without_a_token() -> None:
    attention = nysformer.NystromAttention(16, 8, 2, num_landmarks=4, residual_conv_kernel=3)
    x = torch.full((2, 20, 16), float("nan"), requires_grad=True)
    attention(x, torch.zeros(2, 20)).sum().backward()
    for each in (x, *attention.parameters()):
        assert each.grad is not None
        assert not each.grad.any()
