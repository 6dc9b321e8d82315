"""`attn_implementation="eager"`: the same numbers from plain products, and every derivative there is."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import AutoModel

import nysformer
from nysformer import NysformerError, NystromformerConfig

Make = Callable[..., Any]
NAMES = [
    "Model",
    "ForMaskedLM",
    "ForSequenceClassification",
    "ForTokenClassification",
    "ForMultipleChoice",
    "ForQuestionAnswering",
]
SMALL = {"num_hidden_layers": 1, "hidden_size": 8, "num_attention_heads": 2, "intermediate_size": 12}
MODES = [{"num_landmarks": 3, "attention_mode": "nystrom"}, {"attention_mode": "softmax"}]
Function = Callable[[Tensor], Tensor]


def scalar(output: Any) -> Tensor:
    """The loss, or for a bare backbone a sum that no LayerNorm makes constant."""
    first: Tensor = output[0]
    return first if first.dim() == 0 else (first**3).sum()


@pytest.fixture
def function(make: Make, labelled: Make) -> Callable[..., tuple[Function, Tensor]]:
    """The loss of a tiny float64 model as a function of its input embeddings, and those embeddings."""

    def build(name: str, length: int = 7, implementation: str = "eager", **mode: Any) -> tuple[Function, Tensor]:
        model = make(name, **SMALL, **mode).double()
        model.set_attn_implementation(implementation)
        inputs = labelled(name, 2, length)
        embeds = model.get_input_embeddings()(inputs.pop("input_ids")).detach()
        return lambda embeds: scalar(model(inputs_embeds=embeds, **inputs)), embeds

    return build


@pytest.mark.parametrize("mode", MODES, ids=str)
@pytest.mark.parametrize("name", NAMES)
def test_second_and_forward_derivatives(function: Make, name: str, mode: dict[str, Any]) -> None:
    loss, embeds = function(name, **mode)
    direction = torch.randn(embeds.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    variable = embeds.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(loss(variable), variable, create_graph=True)
    (product,) = torch.autograd.grad(gradient, variable, direction)
    step = 1e-5 * direction
    torch.testing.assert_close(
        torch.func.jvp(loss, (embeds,), (direction,))[1], (gradient * direction).sum(), rtol=1e-9, atol=1e-9
    )
    numeric = (torch.func.grad(loss)(embeds + step) - torch.func.grad(loss)(embeds - step)) / 2e-5
    torch.testing.assert_close(product, numeric, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(torch.func.jvp(torch.func.grad(loss), (embeds,), (direction,))[1], product)
    torch.testing.assert_close(torch.func.jacfwd(loss)(embeds), gradient)
    with torch.autograd.forward_ad.dual_level():
        dual = loss(torch.autograd.forward_ad.make_dual(embeds, direction))
        tangent = torch.autograd.forward_ad.unpack_dual(dual).tangent
    torch.testing.assert_close(tangent, (gradient * direction).sum())


@pytest.mark.parametrize("mode", MODES, ids=str)
def test_gradcheck_twice(function: Make, mode: dict[str, Any]) -> None:
    loss, embeds = function("ForSequenceClassification", length=5, **mode)
    variable = embeds.requires_grad_()
    assert torch.autograd.gradcheck(loss, variable, check_forward_ad=True, fast_mode=True)
    assert torch.autograd.gradgradcheck(loss, variable, fast_mode=True)


def test_hessians_agree(function: Make) -> None:
    loss, embeds = function("ForTokenClassification", length=5, **MODES[0])
    hessian = torch.func.hessian(loss)(embeds)
    torch.testing.assert_close(torch.func.jacrev(torch.func.jacrev(loss))(embeds), hessian)
    torch.testing.assert_close(hessian.flatten(3).flatten(0, 2), hessian.flatten(3).flatten(0, 2).mT)


@pytest.mark.parametrize("implementation", ["eager", "sdpa"])
@pytest.mark.parametrize("name", NAMES)
def test_gradients_per_document_by_vmap(make: Make, labelled: Make, name: str, implementation: str) -> None:
    model, inputs = make(name, **SMALL, **MODES[0]).double(), labelled(name, 3, 9)
    model.set_attn_implementation(implementation)
    inputs["attention_mask"] = torch.ones_like(inputs["input_ids"])
    inputs["attention_mask"][1, ..., 4:] = 0
    parameters = {key: value.detach() for key, value in model.named_parameters()}

    def loss(parameters: dict[str, Tensor], document: dict[str, Tensor]) -> Tensor:
        batch = {key: value[None] for key, value in document.items()}
        return scalar(torch.func.functional_call(model, parameters, (), batch))

    found = torch.func.vmap(torch.func.grad(loss), in_dims=(None, 0))(parameters, inputs)
    for row in range(3):
        model.zero_grad()
        scalar(model(**{key: value[row : row + 1] for key, value in inputs.items()})).backward()
        for key, value in model.named_parameters():
            expected = torch.zeros_like(value) if value.grad is None else value.grad
            torch.testing.assert_close(found[key][row], expected, rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize("mode", ["auto", "nystrom", "softmax"])
@pytest.mark.parametrize("name", NAMES)
def test_the_same_numbers_as_sdpa(make: Make, labelled: Make, name: str, mode: str) -> None:
    model, inputs = make(name, attention_mode=mode).double(), labelled(name, 3, 40)
    inputs["attention_mask"] = torch.ones_like(inputs["input_ids"])
    inputs["attention_mask"][0, ..., 7:] = 0
    inputs["attention_mask"][1, ..., 3:20:2] = 0
    results = []
    for implementation in ("sdpa", "eager"):
        model.set_attn_implementation(implementation)
        model.zero_grad()
        output = model(**inputs)
        scalar(output).backward()
        results.append([*output[:2], *(each.grad for each in model.parameters())])
    torch.testing.assert_close(*results, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision(make: Make, labelled: Make, dtype: torch.dtype) -> None:
    inputs = labelled("Model", 2, 40)
    exact = make("Model")(**inputs)[0]
    model = make("Model").to(dtype)
    model.set_attn_implementation("eager")
    output = model(**inputs)[0]
    output.float().square().sum().backward()
    torch.testing.assert_close(output.float(), exact, rtol=0.0, atol=0.3)


def test_how_it_is_chosen(make: Make, tiny: Make, tmp_path: Path) -> None:
    def now(model: Any) -> tuple[str | None, set[str]]:
        model(torch.tensor([[5, 6, 7]]))
        used = {layer.attention.self.implementation for layer in model.base_model.encoder.layer}
        return model.config._attn_implementation, used

    make("ForMaskedLM").save_pretrained(tmp_path)
    load = nysformer.NystromformerForMaskedLM.from_pretrained
    assert now(load(tmp_path)) == (None, {"sdpa"})
    assert now(load(tmp_path, attn_implementation="sdpa")) == ("sdpa", {"sdpa"})
    eager = load(tmp_path, attn_implementation="eager")
    assert now(eager) == ("eager", {"eager"})
    eager.save_pretrained(tmp_path)
    assert now(load(tmp_path)) == (None, {"sdpa"}), "it is a way to run, not a property of the weights"
    assert now(nysformer.NystromformerModel(tiny(attn_implementation="eager"))) == ("eager", {"eager"})
    eager.set_attn_implementation("sdpa")
    assert now(eager) == ("sdpa", {"sdpa"})
    eager.config._attn_implementation = "eager"  # what older code does
    assert now(eager) == ("eager", {"eager"})
    nysformer.register()
    try:
        assert now(AutoModel.from_config(tiny(), attn_implementation="eager")) == ("eager", {"eager"})
    finally:
        nysformer.unregister()


@pytest.mark.parametrize(
    "name", ["flash_attention_2", "flash_attention_3", "flex_attention", "paged|eager", "nonsense"]
)
def test_what_there_is_not(make: Make, tiny: Make, tmp_path: Path, name: str) -> None:
    model = make("Model")
    model.save_pretrained(tmp_path)

    def written() -> None:
        model.config._attn_implementation = name
        model(torch.tensor([[5, 6, 7]]))

    for choose in (
        lambda: nysformer.NystromformerModel.from_pretrained(tmp_path, attn_implementation=name),
        lambda: nysformer.NystromformerModel(tiny(attn_implementation=name)),
        lambda: model.set_attn_implementation(name),
        written,
    ):
        with pytest.raises(NysformerError, match=r"attn_implementation is .* 'sdpa' .* 'eager'") as caught:
            choose()
        assert "\n" not in str(caught.value)


def test_maps_with_either(make: Make, labelled: Make, tmp_path: Path) -> None:
    model, inputs = make("Model"), labelled("Model", 2, 20)
    model.config.output_attentions = True
    assert len(model(**inputs).attentions) == 2
    model.save_pretrained(tmp_path)
    again = nysformer.NystromformerModel.from_pretrained(tmp_path)
    assert again.config.output_attentions
    assert len(again(**inputs).attentions) == 2
    again.set_attn_implementation("eager")
    torch.testing.assert_close(again(**inputs).attentions, model(**inputs).attentions)
    assert NystromformerConfig(output_attentions=True)._attn_implementation is None


def test_training_with_dropout(make: Make, labelled: Make) -> None:
    for mode in MODES:
        model, inputs = make("ForSequenceClassification", **mode).train(), labelled("ForSequenceClassification", 2, 40)
        model.set_attn_implementation("eager")
        model(**inputs).loss.backward()
        assert all(each.grad is not None and each.grad.isfinite().all() for each in model.parameters())


def test_nystrom_attention_twice() -> None:
    torch.manual_seed(0)
    x = torch.randn(2, 5, 2, dtype=torch.float64, requires_grad=True)
    mask = torch.ones(2, 5, dtype=torch.bool)
    mask[1, 2:] = False
    for compat in (False, True):
        options: dict[str, Any] = {"dim_head": 1, "heads": 2, "num_landmarks": 3, "residual_conv_kernel": 3}
        eager = nysformer.NystromAttention(2, **options, compat=compat, implementation="eager").double()
        fused = nysformer.NystromAttention(2, **options, compat=compat).double()
        fused.load_state_dict(eager.state_dict())
        torch.testing.assert_close(eager(x, mask), fused(x, mask), rtol=1e-9, atol=1e-9)
        assert torch.autograd.gradgradcheck(lambda x, layer=eager: layer(x, mask), x, fast_mode=True)
        torch.func.jvp(lambda x, layer=eager: layer(x, mask), (x.detach(),), (x.detach(),))
    with pytest.raises(NysformerError, match="implementation is 'flash'"):
        nysformer.NystromAttention(4, implementation="flash")  # type: ignore[arg-type]
