"""I5: the numbers of transformers' Nyströmformer, one document at a time, lengths its code can read.

Both modes, the backbone and every head: what they say, their loss, every parameter's gradient.
"""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import transformers

Make = Callable[..., Any]
NAMES = [
    "Model",
    "ForMaskedLM",
    "ForSequenceClassification",
    "ForMultipleChoice",
    "ForTokenClassification",
    "ForQuestionAnswering",
]
LANDMARKS = 8


def theirs(name: str, config: Any, length: int, mode: str) -> Any:
    """transformers' model of these settings, made for this length."""
    values = config.to_dict()
    for key in ("attention_mode", "softmax_max_length", "pruned_heads", "model_type", "position_embedding_type"):
        values.pop(key)
    values["segment_means_seq_len"] = LANDMARKS if mode == "softmax" else length
    return getattr(transformers, f"Nystromformer{name}")(transformers.NystromformerConfig(**values)).eval()


def both(make: Make, name: str, length: int, mode: str, **options: Any) -> tuple[Any, Any]:
    ours = make(name, attention_mode=mode, **options)
    other = theirs(name, ours.config, length, mode)
    missing, unexpected = other.load_state_dict(ours.state_dict(), strict=False)
    assert not unexpected
    assert not [key for key in missing if not key.endswith(("position_ids", "token_type_ids"))]
    return ours, other


def run(name: str, model: Any, inputs: dict[str, torch.Tensor], one_at_a_time: bool) -> Any:
    """The model's output; the choices of a question one at a time, for in transformers batch mates matter."""
    if name != "ForMultipleChoice" or not one_at_a_time:
        return model(output_hidden_states=True, **inputs)
    labels = inputs.pop("labels")
    choices = [
        model(output_hidden_states=True, **{key: value[:, [c]] for key, value in inputs.items()})
        for c in range(inputs["input_ids"].shape[1])
    ]
    logits = torch.cat([choice.logits for choice in choices], dim=1)
    hidden_states = [torch.cat(states) for states in zip(*(c.hidden_states for c in choices), strict=True)]
    loss = torch.nn.functional.cross_entropy(logits, labels)
    return SimpleNamespace(logits=logits, loss=loss, hidden_states=hidden_states)


def relative(a: torch.Tensor, b: torch.Tensor) -> float:
    return float((a - b).detach().abs().max() / b.detach().abs().max())


@pytest.mark.parametrize("mode", ["nystrom", "softmax"])
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("length", "options"),
    [
        (16, {}),
        (64, {"conv_kernel_size": 65, "hidden_act": "gelu"}),
        (200, {"conv_kernel_size": 33, "layer_norm_eps": 1e-12}),
    ],
)
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.float64, 1e-9)])
def test_equals_transformers(
    make: Make,
    labelled: Make,
    name: str,
    mode: str,
    length: int,
    options: dict[str, Any],
    dtype: torch.dtype,
    tolerance: float,
) -> None:
    ours, other = (model.to(dtype) for model in both(make, name, length, mode, **options))
    inputs = labelled(name, 1, length)
    inputs["token_type_ids"] = (torch.arange(length) >= length // 2).long().expand_as(inputs["input_ids"])
    outputs = [run(name, model, dict(inputs), model is other) for model in (ours, other)]
    for a, b in zip(*(output.hidden_states for output in outputs), strict=True):
        assert relative(a, b) <= tolerance
    for key in ("logits", "start_logits", "end_logits", "loss"):
        a, b = (getattr(output, key, None) for output in outputs)
        assert (a is None) == (b is None)
        if a is not None:
            assert relative(a, b) <= tolerance, key
    for output in outputs:
        (output.last_hidden_state.square().mean() if name == "Model" else output.loss).backward()
    gradients = [{key: p.grad for key, p in model.named_parameters()} for model in (ours, other)]
    assert gradients[0].keys() == gradients[1].keys()
    largest = max(gradient.abs().max() for gradient in gradients[1].values() if gradient is not None)
    for key, gradient in gradients[1].items():
        if gradient is None:
            assert gradients[0][key] is None, key
        else:
            assert (gradients[0][key] - gradient).abs().max() <= tolerance * largest, key


@pytest.mark.parametrize("mode", ["nystrom", "softmax"])
def test_in_a_batch_ours_equals_theirs_one_document_at_a_time(make: Make, labelled: Make, mode: str) -> None:
    ours, other = both(make, "ForSequenceClassification", 64, mode)
    ids = labelled("ForSequenceClassification", 3, 64)["input_ids"]
    alone = torch.cat([other(input_ids=row[None]).logits for row in ids])
    assert relative(ours(input_ids=ids).logits, alone) <= 1e-5
    padded = torch.nn.functional.pad(ids, (0, 50), value=1)
    assert relative(ours(input_ids=padded, attention_mask=padded != 1).logits, alone) <= 1e-5
