"""Tools that look for plain modules, hang hooks on them or replace them find ours and take effect."""

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations, parametrize, prune

import nysformer
from nysformer.layers import HeadKernels

Make = Callable[..., Any]
NAMES = [
    "Model",
    "ForMaskedLM",
    "ForSequenceClassification",
    "ForTokenClassification",
    "ForMultipleChoice",
    "ForQuestionAnswering",
]
# Past a block of rows, where a layer runs in pieces, and a short one.
LENGTHS = [40, 1500]


def linears(model: nn.Module) -> dict[str, nn.Module]:
    return {name: module for name, module in model.named_modules() if isinstance(module, nn.Linear)}


def outputs(model: Any, inputs: dict[str, Tensor]) -> Tensor:
    given = {key: value for key, value in inputs.items() if key == "input_ids"}
    output: Tensor = model(**given)[0]
    return output


@pytest.mark.parametrize("name", NAMES)
def test_every_linear_layer_is_torch_s_own(make: Make, name: str) -> None:
    found = linears(make(name))
    assert len(found) >= 12
    assert all(type(module) is nn.Linear for module in found.values())
    assert all(type(module) is nn.Linear for module in linears(nysformer.NystromAttention(8, 4, 2)).values())


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning", "ignore::FutureWarning")
@pytest.mark.parametrize("name", NAMES)
@torch.no_grad()
def test_dynamic_quantization_replaces_them_all(make: Make, labelled: Make, name: str) -> None:
    model, inputs = make(name), labelled(name, 2, 40)
    quantized = torch.ao.quantization.quantize_dynamic(copy.deepcopy(model), {nn.Linear})
    assert not linears(quantized)
    ours, theirs = outputs(quantized, inputs), outputs(model, inputs)
    difference = float((ours - theirs).abs().max() / theirs.abs().max())
    assert 1e-4 < difference < 0.3


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning", "ignore::FutureWarning")
@torch.no_grad()
def test_a_quantized_layer_s_numbers_in_a_long_document(make: Make, labelled: Make) -> None:
    model, inputs = make("Model", max_position_embeddings=1500), labelled("Model", 1, 1500)
    quantized = torch.ao.quantization.quantize_dynamic(copy.deepcopy(model), {nn.Linear})
    assert not quantized.encoder.layer[0].attention.self.projects_linearly()
    torch.testing.assert_close(outputs(quantized, inputs), outputs(model, inputs), rtol=0.0, atol=0.5)


class Double(nn.Module):
    def forward(self, weight: Tensor) -> Tensor:
        return 2 * weight


@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize("train", [False, True])
def test_a_parametrization_is_the_weight_it_computes(make: Make, labelled: Make, length: int, train: bool) -> None:
    settings = {"max_position_embeddings": 1500, "hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    model, expected = (make("ForTokenClassification", **settings).train(train) for _ in range(2))
    inputs = labelled("ForTokenClassification", 2, length)
    for name, module in model.named_modules():
        if isinstance(module, (nn.Linear, HeadKernels)):
            expected.get_submodule(name).weight.data.mul_(2)
            parametrize.register_parametrization(module, "weight", Double())
    with torch.set_grad_enabled(train):
        torch.testing.assert_close(outputs(model, inputs), outputs(expected, inputs), rtol=1e-4, atol=1e-4)
        if train:
            model(**inputs).loss.backward()
            expected(**inputs).loss.backward()
            key = "nystromformer.encoder.layer.0.attention.self"
            for part in ("query", "conv"):
                ours = model.get_submodule(f"{key}.{part}").parametrizations.weight.original.grad
                theirs = expected.get_submodule(f"{key}.{part}").weight.grad
                torch.testing.assert_close(ours, 2 * theirs, rtol=1e-3, atol=1e-4)


def test_weight_norm_changes_nothing_and_is_trained(make: Make, labelled: Make) -> None:
    model, inputs = make("ForSequenceClassification"), labelled("ForSequenceClassification", 2, 40)
    before = outputs(model, inputs).detach()
    for module in list(linears(model).values()):
        parametrizations.weight_norm(module)
    torch.testing.assert_close(outputs(model, inputs), before, rtol=1e-4, atol=1e-4)
    model(**inputs).loss.backward()
    magnitudes = [value.grad for key, value in model.named_parameters() if key.endswith("original0")]
    assert len(magnitudes) == 14
    assert all(gradient is not None and gradient.isfinite().all() for gradient in magnitudes)


@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize(
    "part", ["attention.self.query", "attention.self.conv", "attention.output.dense", "output.dense"]
)
@torch.no_grad()
def test_pruned_weights_do_not_count(make: Make, labelled: Make, part: str, length: int) -> None:
    model, inputs = make("Model", max_position_embeddings=1500), labelled("Model", 1, length)
    module = model.encoder.layer[0].get_submodule(part)
    before = outputs(model, inputs)
    prune.l1_unstructured(module, "weight", amount=0.5)
    pruned = outputs(model, inputs)
    assert not torch.allclose(pruned, before, atol=1e-3)
    module.weight_mask.zero_()  # the weight is computed anew at every call
    nothing = outputs(model, inputs)
    assert not torch.allclose(nothing, pruned, atol=1e-3)
    prune.remove(module, "weight")
    assert not module.weight.any()
    torch.testing.assert_close(outputs(model, inputs), nothing, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize(
    ("part", "kind"),
    [
        ("attention.self.query", "forward"),
        ("attention.self.value", "pre"),
        ("attention.self.conv", "forward"),  # what the kernels are called with does not matter
        ("attention.output.dense", "forward"),
        ("intermediate.dense", "pre"),
    ],
)
@torch.no_grad()
def test_a_hook_takes_effect(make: Make, labelled: Make, part: str, kind: str, length: int) -> None:
    model, inputs = make("Model", max_position_embeddings=1500), labelled("Model", 1, length)
    before = outputs(model, inputs)
    module = model.encoder.layer[0].get_submodule(part)
    if kind == "forward":
        handle = module.register_forward_hook(lambda _module, _inputs, output: 0 * output)
    else:
        handle = module.register_forward_pre_hook(lambda _module, arguments: (0 * arguments[0],))
    assert not torch.allclose(outputs(model, inputs), before, atol=1e-3)
    handle.remove()
    torch.testing.assert_close(outputs(model, inputs), before)


def test_nystrom_attention_under_the_same_tools() -> None:
    torch.manual_seed(0)
    attention = nysformer.NystromAttention(16, 8, 2, num_landmarks=4, residual_conv_kernel=3)
    x = torch.randn(2, 30, 16)
    before = attention(x)
    doubled = copy.deepcopy(attention)
    for module in (doubled.to_qkv, doubled.to_out[0], doubled.res_conv):
        parametrize.register_parametrization(module, "weight", Double())
    by_hand = copy.deepcopy(attention)
    for module in (by_hand.to_qkv, by_hand.to_out[0], by_hand.res_conv):
        module.weight.data.mul_(2)
    torch.testing.assert_close(doubled(x), by_hand(x), rtol=1e-4, atol=1e-4)
    prune.l1_unstructured(attention.res_conv, "weight", amount=0.5)
    attention.res_conv.weight_orig.data.zero_()
    silent = attention(x)
    assert not torch.allclose(silent, before, atol=1e-3)
    attention.res_conv = None
    torch.testing.assert_close(attention(x), silent, rtol=1e-5, atol=1e-5)
    attention.to_qkv.register_forward_hook(lambda _module, _inputs, output: 0 * output)
    torch.testing.assert_close(attention(x), attention.to_out[0].bias.expand(2, 30, 16))


@torch.no_grad()
def test_functional_call_runs_other_weights(make: Make, labelled: Make) -> None:
    model, inputs = make("Model"), labelled("Model", 2, 40)
    other = {key: value + 0.1 for key, value in model.named_parameters()}
    found = torch.func.functional_call(model, other, (inputs["input_ids"],))[0]
    for key, value in model.named_parameters():
        value.copy_(other[key])
    torch.testing.assert_close(found, outputs(model, inputs))
