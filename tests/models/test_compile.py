"""Whole-graph compilation takes the dense masked form, and it says what the packed one says (I7)."""

from collections.abc import Callable
from typing import Any

import pytest
import torch

Make = Callable[..., Any]


def inputs(masked: bool) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    mask = torch.rand(3, 40, generator=generator) < 0.7
    mask[1, 5:] = False
    mask[2] = False
    batch = {"input_ids": torch.randint(2, 99, (3, 40), generator=generator)}
    return {**batch, "attention_mask": mask} if masked else batch


@pytest.mark.parametrize("landmarks", ["segments", "clusters"])
@pytest.mark.parametrize("mode", ["auto", "softmax"])
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize(
    "name", ["Model", "ForTokenClassification", "ForSequenceClassification", "ForQuestionAnswering"]
)
def test_compiled_equals_packed(make: Make, name: str, mode: str, masked: bool, landmarks: str) -> None:
    torch.compiler.reset()
    model = make(name, attention_mode=mode, softmax_max_length=12, landmarks=landmarks).double()
    compiled = torch.compile(model, fullgraph=True, backend="eager")
    batch = inputs(masked)
    ours, theirs = (m(output_hidden_states=True, **batch) for m in (compiled, model))
    for a, b in zip((*ours.hidden_states, ours[0]), (*theirs.hidden_states, theirs[0]), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("layers", ["last", "first+last"])
@pytest.mark.parametrize("pooling", ["mean", "attention"])
@pytest.mark.parametrize("masked", [False, True])
def test_compiled_pooling(make: Make, pooling: str, layers: str, masked: bool) -> None:
    torch.compiler.reset()
    reads = {"classifier_pooling": pooling, "classifier_layers": layers, "classifier_scaling": masked}
    model = make("ForSequenceClassification", **reads).double()
    compiled = torch.compile(model, fullgraph=True, backend="eager")
    batch = inputs(masked)
    torch.testing.assert_close(compiled(**batch).logits, model(**batch).logits, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(("mode", "landmarks"), [("auto", "segments"), ("auto", "clusters"), ("softmax", "segments")])
def test_gradients_through_aot_autograd(make: Make, labelled: Make, mode: str, landmarks: str) -> None:
    torch.compiler.reset()
    model = make("ForTokenClassification", attention_mode=mode, landmarks=landmarks).double()
    batch = {**inputs(True), "labels": torch.randint(3, (3, 40))}
    results = []
    for run in (model, torch.compile(model, fullgraph=True, backend="aot_eager")):
        model.zero_grad()
        loss = run(**batch).loss
        loss.backward()
        results.append([loss.detach(), *(p.grad for p in model.parameters())])
    for a, b in zip(*results, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-9)


def test_poison_while_compiling(make: Make) -> None:
    torch.compiler.reset()
    model = make("Model")
    batch = inputs(True)
    embeds = model.get_input_embeddings()(batch["input_ids"]).detach()
    poisoned = embeds.masked_fill(~batch["attention_mask"][..., None], float("nan")).requires_grad_()
    compiled = torch.compile(model, fullgraph=True, backend="aot_eager")
    output = compiled(inputs_embeds=poisoned, attention_mask=batch["attention_mask"])[0]
    torch.testing.assert_close(output, model(**batch)[0], rtol=1e-5, atol=1e-5)
    output.square().sum().backward()
    assert poisoned.grad is not None
    assert poisoned.grad.isfinite().all()
    assert all(p.grad is None or p.grad.isfinite().all() for p in model.parameters())


def test_garbage_and_padding_past_the_table_while_compiling(make: Make) -> None:
    torch.compiler.reset()
    model = make("Model", max_position_embeddings=40)
    batch = {key: torch.nn.functional.pad(value, (0, 10)) for key, value in inputs(True).items()}
    expected = model(**batch)[0]
    garbage = {"input_ids": 10**9, "token_type_ids": -3, "position_ids": 10**6}
    batch["token_type_ids"] = torch.zeros_like(batch["input_ids"])
    batch["position_ids"] = torch.arange(50).expand(3, 50) + 2
    masked = ~batch["attention_mask"]
    poisoned = {key: value.masked_fill(masked, garbage[key]) for key, value in batch.items() if key in garbage}
    compiled = torch.compile(model, fullgraph=True, backend="eager")
    output = compiled(attention_mask=batch["attention_mask"], **poisoned)[0]
    torch.testing.assert_close(output, expected, rtol=1e-5, atol=1e-5)
    del batch["position_ids"]
    torch.testing.assert_close(compiled(**batch)[0], expected, rtol=1e-5, atol=1e-5)
