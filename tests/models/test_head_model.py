"""Heads receive packed rows: padding reaches no projection and no loss, and hooks on the backbone still run."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch._dynamo.testing import CompileCounter

import nysformer
from nysformer.models.packing import Packing

Make = Callable[..., Any]
PER_TOKEN = {"ForMaskedLM": 99, "ForTokenClassification": 3, "ForQuestionAnswering": 2}
PER_DOCUMENT = ["ForSequenceClassification", "ForMultipleChoice"]
HEADS = [*PER_TOKEN, *PER_DOCUMENT]
# The linear layers of each head; the last one makes the logits.
PROJECTIONS = {
    "ForMaskedLM": ["cls.predictions.transform.dense", "cls.predictions.decoder"],
    "ForTokenClassification": ["classifier"],
    "ForQuestionAnswering": ["qa_outputs"],
    "ForSequenceClassification": ["classifier.dense", "classifier.out_proj"],
    "ForMultipleChoice": ["pre_classifier", "classifier"],
}
LENGTHS = [9, 40, 3]


def padded(labelled: Make, name: str) -> dict[str, Tensor]:
    """Three documents of unequal length, or as many choices of one question, with garbage in their padding."""
    inputs: dict[str, Tensor] = labelled(name, 1 if name == "ForMultipleChoice" else 3, 40)
    mask = torch.zeros(inputs["input_ids"].shape, dtype=torch.long)
    for row, length in zip(mask.view(3, 40), LENGTHS, strict=True):
        row[:length] = 1
    inputs["input_ids"] = inputs["input_ids"].masked_fill(mask == 0, 10**9)
    if name == "ForQuestionAnswering":
        inputs |= {"start_positions": torch.tensor([0, 30, 2]), "end_positions": torch.tensor([8, 39, 2])}
    elif name in PER_TOKEN:
        inputs["labels"] = inputs["labels"].masked_fill(torch.arange(120).view(3, 40) % 3 == 0, -100)
    return {**inputs, "attention_mask": mask}


def logits(output: Any) -> Tensor:
    return torch.stack([output.start_logits, output.end_logits], -1) if "start_logits" in output else output.logits


def alone(model: Any, name: str, inputs: dict[str, Tensor]) -> tuple[list[Tensor], Tensor]:
    """Each document's logits by itself, without padding, and the loss of the batch from theirs."""
    if name == "ForMultipleChoice":
        said = [
            model(ids[None, None, :length]).logits[0]
            for ids, length in zip(inputs["input_ids"][0], LENGTHS, strict=True)
        ]
        return said, torch.nn.functional.cross_entropy(torch.cat(said)[None], inputs["labels"])
    count = 3
    if name in ("ForMaskedLM", "ForTokenClassification"):
        count = int((inputs["labels"][inputs["attention_mask"] == 1] != -100).sum())
    outputs = []
    for row, length in enumerate(LENGTHS):
        own = {
            key: value[row : row + 1, :length] if value.dim() == 2 else value[row : row + 1]
            for key, value in inputs.items()
            if key != "attention_mask"
        }
        outputs.append(model(**own, num_items_in_batch=count))
    return [logits(output)[0] for output in outputs], sum((output.loss for output in outputs), torch.zeros(()))


@pytest.mark.parametrize("name", HEADS)
def test_padding_is_never_projected(make: Make, labelled: Make, name: str) -> None:
    model, inputs = make(name), padded(labelled, name)
    expected, loss = alone(model, name, inputs)
    seen: dict[str, list[int]] = {key: [] for key in PROJECTIONS[name]}
    for key in seen:
        model.get_submodule(key).register_forward_pre_hook(
            lambda _module, arguments, key=key: seen[key].append(arguments[0].shape[:-1].numel())
        )
    output = model(**inputs)
    assert seen == {key: [sum(LENGTHS) if name in PER_TOKEN else 3] for key in seen}
    torch.testing.assert_close(output.loss, loss, rtol=1e-5, atol=1e-5)
    found = logits(output).flatten(0, 1) if name == "ForMultipleChoice" else logits(output)
    for row, length, own in zip(found, LENGTHS, expected, strict=True):
        said = row[:length] if name in PER_TOKEN else row
        torch.testing.assert_close(said, own.view_as(said), rtol=1e-5, atol=1e-5)
    if name in PER_TOKEN:
        assert found.shape == (3, 40, PER_TOKEN[name])
        empty = torch.finfo(torch.float32).min if name == "ForQuestionAnswering" else 0.0
        assert (found[inputs["attention_mask"] == 0] == empty).all()


@pytest.mark.parametrize("name", HEADS)
def test_rows_are_unpacked_once(make: Make, labelled: Make, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    unpacked, unpack = [], Packing.unpack

    def spy(self: Packing, rows: Tensor, fill: float = 0.0) -> Tensor:
        unpacked.append(rows.shape)
        return unpack(self, rows, fill)

    monkeypatch.setattr(Packing, "unpack", spy)
    make(name)(**padded(labelled, name))
    assert unpacked == ([(sum(LENGTHS), PER_TOKEN[name])] if name in PER_TOKEN else [])


@pytest.mark.parametrize("name", HEADS)
def test_asking_for_hidden_states_changes_nothing(make: Make, labelled: Make, name: str) -> None:
    model, inputs = make(name), padded(labelled, name)
    plain = model(**inputs)
    plain.loss.backward()
    expected = {key: value.grad.clone() for key, value in model.named_parameters()}
    model.zero_grad()
    output = model(**inputs, output_hidden_states=True)
    for hidden in output.hidden_states:
        assert hidden.shape == (3, 40, 32)
        assert not hidden[inputs["attention_mask"].view(3, 40) == 0].any()
        hidden.retain_grad()
    output.loss.backward()
    assert torch.equal(logits(output), logits(plain))
    assert all(hidden.grad is not None and hidden.grad.any() for hidden in output.hidden_states)
    for key, value in model.named_parameters():
        torch.testing.assert_close(value.grad, expected[key], rtol=1e-5, atol=1e-6, msg=key)


@pytest.mark.parametrize("name", HEADS)
def test_a_hook_on_the_backbone_sees_and_replaces_its_public_output(make: Make, labelled: Make, name: str) -> None:
    model, inputs, seen = make(name), padded(labelled, name), []
    plain = model(**inputs)
    handle = model.nystromformer.register_forward_hook(lambda _module, _inputs, output: seen.append(output))
    hooked = model(**inputs)
    assert [type(output).__name__ for output in seen] == ["BaseModelOutput"]
    assert seen[0].last_hidden_state.shape == (3, 40, 32)
    torch.testing.assert_close((hooked.loss, logits(hooked)), (plain.loss, logits(plain)))
    handle.remove()

    def silence(_module: Any, _inputs: Any, output: Any) -> Any:
        output.last_hidden_state = torch.zeros_like(output.last_hidden_state)
        return output

    model.nystromformer.register_forward_hook(silence)
    nothing = logits(model(**inputs))
    first = nothing[0] if name == "ForMultipleChoice" else nothing[:, 0]
    torch.testing.assert_close(first, first[:1].expand_as(first))
    assert not torch.allclose(nothing, logits(plain), atol=1e-3)


def test_a_compiled_backbone_runs_compiled(make: Make, labelled: Make) -> None:
    torch.compiler.reset()
    inputs = padded(labelled, "ForTokenClassification")
    inputs["input_ids"] = inputs["input_ids"].clamp(max=98)
    plain = make("ForTokenClassification")(**inputs)
    in_place, wrapped = make("ForTokenClassification"), make("ForTokenClassification")
    counters = [CompileCounter(), CompileCounter()]
    in_place.nystromformer.compile(backend=counters[0])
    wrapped.nystromformer = torch.compile(wrapped.nystromformer, backend=counters[1])
    for model, counter in zip((in_place, wrapped), counters, strict=True):
        output = model(**inputs)
        assert counter.frame_count > 0
        torch.testing.assert_close((output.loss, output.logits), (plain.loss, plain.logits), rtol=1e-4, atol=1e-4)


def test_another_class_in_the_backbone_s_place_is_called(make: Make, labelled: Make) -> None:
    class Doubled(nysformer.NystromformerModel):
        def forward(self, *args: Any, **kwargs: Any) -> Any:
            output = super().forward(*args, **kwargs)
            output.last_hidden_state = 2 * output.last_hidden_state
            return output

    model, inputs = make("ForTokenClassification"), padded(labelled, "ForTokenClassification")
    plain = model(**inputs).logits
    model.nystromformer.__class__ = Doubled
    mask = inputs["attention_mask"].bool()
    bias = model.classifier.bias
    torch.testing.assert_close((model(**inputs).logits - bias)[mask], 2 * (plain - bias)[mask], rtol=1e-4, atol=1e-5)


def test_a_forward_put_in_the_class_is_called(make: Make, labelled: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    model, inputs, calls = make("ForTokenClassification"), padded(labelled, "ForTokenClassification"), []
    plain, forward = model(**inputs), nysformer.NystromformerModel.forward

    def counted(self: Any, *args: Any, **kwargs: Any) -> Any:
        calls.append(self)
        return forward(self, *args, **kwargs)

    monkeypatch.setattr(nysformer.NystromformerModel, "forward", counted)
    output = model(**inputs)
    assert calls == [model.nystromformer]
    torch.testing.assert_close((output.loss, output.logits), (plain.loss, plain.logits))


def test_no_answer_lies_on_a_masked_place_under_autocast(make: Make, labelled: Make) -> None:
    inputs = padded(labelled, "ForQuestionAnswering")
    with torch.autocast("cpu", dtype=torch.bfloat16):
        output = make("ForQuestionAnswering")(**inputs)
    assert output.start_logits.dtype == torch.bfloat16
    assert (output.start_logits[inputs["attention_mask"] == 0] == torch.finfo(torch.bfloat16).min).all()
