"""optimize: the same numbers, faster; each precision within its own rounding; refusals."""

import copy
import io
import multiprocessing
import pickle
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any, Literal

import pytest
import safetensors.torch
import torch
import transformers
from peft import LoraConfig, get_peft_model
from torch.nn.utils import parametrizations

from nysformer import NysformerError, NystromformerConfig, NystromformerForSequenceClassification, optimize
from nysformer.layers.fused import FusedIntermediate
from nysformer.ops import can_pack, use_product_backend

VOCABULARY = 60


def classifier(activation: str = "gelu_new", conv: int | None = 5) -> NystromformerForSequenceClassification:
    torch.manual_seed(0)
    config = NystromformerConfig(
        vocab_size=VOCABULARY,
        hidden_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=96,
        max_position_embeddings=600,
        num_landmarks=8,
        conv_kernel_size=conv,
        hidden_act=activation,
        num_labels=3,
    )
    return NystromformerForSequenceClassification(config).eval()


def batch() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    lengths = torch.tensor([[600], [7], [131]])
    return torch.randint(2, VOCABULARY, (3, 600), generator=generator), torch.arange(600) < lengths


@pytest.mark.parametrize("activation", ["gelu_new", "gelu", "relu", "silu"])
def test_float32_keeps_the_numbers(activation: str) -> None:
    model = classifier(activation)
    fast = optimize(model, dtype="float32")
    with torch.no_grad():
        expected = model.nystromformer(*batch()).last_hidden_state
        torch.testing.assert_close(fast.nystromformer(*batch()).last_hidden_state, expected, rtol=0, atol=1e-5)
        torch.testing.assert_close(fast(*batch()).logits, model(*batch()).logits, rtol=0, atol=1e-5)


def test_float32_is_packed_only_where_that_pays() -> None:
    model = classifier()
    with use_product_backend("torch"), torch.no_grad():
        fast = optimize(model, dtype="float32")
        assert fast.is_optimized
        assert not any(isinstance(module, FusedIntermediate) for module in fast.modules())
        torch.testing.assert_close(fast(*batch()).logits, model(*batch()).logits, rtol=0, atol=1e-5)
        if can_pack(torch.bfloat16):
            assert any(isinstance(module, FusedIntermediate) for module in optimize(model, dtype="bfloat16").modules())


def test_the_model_itself_is_left_alone() -> None:
    model = classifier().train()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    optimize(model, dtype="bfloat16")
    assert model.training
    assert all(parameter.requires_grad for parameter in model.parameters())
    assert before.keys() == model.state_dict().keys()
    assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())


def test_bfloat16_is_as_near_as_bfloat16_weights_are() -> None:
    model = classifier()
    plain = classifier().to(torch.bfloat16)
    fast = optimize(model, dtype="bfloat16")
    with torch.no_grad():
        expected = model.nystromformer(*batch()).last_hidden_state
        plain_error = (plain.nystromformer(*batch()).last_hidden_state.float() - expected).abs().mean()
        fast_error = (fast.nystromformer(*batch()).last_hidden_state.float() - expected).abs().mean()
    # Fewer roundings, not more; half of the plain form's error is room for those that fall otherwise.
    assert fast_error <= 1.5 * plain_error


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_int8_is_within_its_steps(dtype: str) -> None:
    model = classifier()
    fast = optimize(model, dtype=dtype, quantize="int8")
    with torch.no_grad():
        expected = model.nystromformer(*batch()).last_hidden_state
        found = fast.nystromformer(*batch()).last_hidden_state.float()
    # 127 steps for the largest activation of each product, whose errors add up over the 8 products on the way.
    assert (found - expected).abs().mean() < 8 / 127 * expected.abs().mean()


def test_auto_is_a_precision_of_this_machine() -> None:
    assert optimize(classifier()).dtype in (torch.float32, torch.bfloat16)


def test_maps_and_hidden_states_come_out_of_an_optimized_model() -> None:
    model = classifier()
    outputs = optimize(model, dtype="float32")(*batch(), output_attentions=True, output_hidden_states=True)
    expected = model(*batch(), output_attentions=True, output_hidden_states=True)
    for found, wanted in zip(outputs.attentions, expected.attentions, strict=True):
        torch.testing.assert_close(found, wanted, rtol=0, atol=1e-5)
    assert len(outputs.hidden_states) == len(expected.hidden_states)


def test_refusals(tmp_path: Path) -> None:
    model = classifier()
    with pytest.raises(NysformerError, match="choose 'auto', 'float32' or 'bfloat16'"):
        optimize(model, dtype="float8")  # type: ignore[arg-type]
    with pytest.raises(NysformerError, match="choose 'int8' or None"):
        optimize(model, quantize="int4")  # type: ignore[arg-type]
    with pytest.raises(NysformerError, match="exclude each other"):
        optimize(model, quantize="int8", compile=True)
    with pytest.raises(NysformerError, match="save the model it was made from"):
        optimize(model).save_pretrained(tmp_path / "model")
    assert not (tmp_path / "model").exists()
    with pytest.raises(NysformerError, match="train the model it was made from"):
        optimize(model).train()
    with pytest.raises(NysformerError, match="prune the model it was made from"):
        optimize(model).prune_heads({0: [1]})


@pytest.mark.parametrize("quantize", [None, "int8"])
def test_a_copy_of_a_fast_model_gives_its_numbers(quantize: Literal["int8"] | None) -> None:
    fast = optimize(classifier(), dtype="float32", quantize=quantize)
    assert not fast.training
    assert torch.equal(copy.deepcopy(fast)(*batch()).logits, fast(*batch()).logits)


PRECISIONS: list[tuple[Literal["float32", "bfloat16"], Literal["int8"] | None]] = [
    ("float32", None),
    ("bfloat16", None),
    ("float32", "int8"),
    ("bfloat16", "int8"),
]


def through_torch_save(model: torch.nn.Module) -> Any:
    file = io.BytesIO()
    torch.save(model, file)
    file.seek(0)
    return torch.load(file, weights_only=False)


@pytest.mark.parametrize(("dtype", "quantize"), PRECISIONS)
@pytest.mark.parametrize("activation", ["gelu_new", "silu"])
def test_a_pickled_fast_model_gives_its_numbers(
    dtype: Literal["float32", "bfloat16"], quantize: Literal["int8"] | None, activation: str
) -> None:
    fast = optimize(classifier(activation), dtype=dtype, quantize=quantize)
    expected = fast(*batch()).logits
    once = pickle.loads(pickle.dumps(fast))
    for again in (once, pickle.loads(pickle.dumps(once)), through_torch_save(fast), copy.deepcopy(once)):
        assert torch.equal(again(*batch()).logits, expected)
        assert again.is_optimized
        assert not again.training


def test_a_pickled_fast_model_holds_its_weights_once() -> None:
    model = classifier()
    plain = len(pickle.dumps(model))
    assert len(pickle.dumps(optimize(model, dtype="float32"))) < 1.05 * plain
    # Only the embeddings and the head stay as they were.
    assert len(pickle.dumps(optimize(model, dtype="float32", quantize="int8"))) < 0.8 * plain


def test_a_compiled_model_is_compiled_again_where_it_is_copied_or_read() -> None:
    compiled = optimize(classifier(), dtype="float32", compile=True)
    for again in (copy.deepcopy(compiled), pickle.loads(pickle.dumps(compiled))):
        assert again.is_optimized
        assert again._compiled_call_impl is not None
    assert pickle.loads(pickle.dumps(classifier()))._compiled_call_impl is None


def test_a_spawned_process_runs_a_fast_model() -> None:
    fast = optimize(classifier(), dtype="float32")
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        found = pool.submit(fast, *batch()).result().logits
    torch.testing.assert_close(found, fast(*batch()).logits, rtol=0, atol=1e-5)


def test_moves_that_change_nothing_are_no_error() -> None:
    fast = optimize(classifier(), dtype="bfloat16")
    expected = fast(*batch()).logits
    same = fast.to("cpu").to(torch.bfloat16).cpu().eval().requires_grad_(False)
    assert same is fast
    assert torch.equal(same(*batch()).logits, expected)


IMPOSSIBLE: dict[str, tuple[Callable[[Any], Any], str]] = {
    "state_dict": (lambda fast: fast.state_dict(), "take that of the model it was made from"),
    "of the backbone": (lambda fast: fast.base_model.state_dict(), "take that of the model it was made from"),
    "of a layer": (lambda fast: fast.base_model.encoder.state_dict(), "take that of the model it was made from"),
    "of a wrapper": (lambda fast: torch.nn.Sequential(fast).state_dict(), "take that of the model it was made from"),
    "safetensors": (lambda fast: safetensors.torch.save_model(fast, "x"), "take that of the model it was made from"),
    "load": (lambda fast: fast.load_state_dict({}, strict=False), "load them into the model it was made from"),
    "load a layer": (lambda fast: fast.base_model.encoder.load_state_dict({}, strict=False), "cannot load weights"),
    "push": (lambda fast: fast.push_to_hub("nobody/nothing"), "push the model it was made from"),
    "half": (lambda fast: fast.half(), "moved or converted"),
    "double": (lambda fast: fast.double(), "moved or converted"),
    "bfloat16": (lambda fast: fast.to(torch.bfloat16), "moved or converted"),
    "meta": (lambda fast: fast.to("meta"), "moved or converted"),
    "cuda": (lambda fast: fast.cuda(), "moved or converted"),
    "a layer": (lambda fast: fast.base_model.encoder.to(torch.bfloat16), "stays on the CPU and in its dtype"),
    "resize": (lambda fast: fast.resize_token_embeddings(70), "resize the model it was made from"),
    "extend": (lambda fast: fast.extend_positions(700), "extend the model it was made from"),
    "adapter": (lambda fast: fast.add_adapter(LoraConfig(target_modules=["query"])), "given an adapter"),
    "requires_grad": (lambda fast: fast.requires_grad_(), "train the model it was made from"),
    "gradient": (lambda fast: fast(inputs_embeds=torch.randn(1, 5, 64, requires_grad=True)), "has no gradients"),
    "again": (lambda fast: optimize(fast), "optimized already"),
}


@pytest.mark.parametrize("name", IMPOSSIBLE)
@pytest.mark.parametrize("quantize", [None, "int8"])
def test_what_packed_weights_cannot_do_is_refused_in_one_line(name: str, quantize: Literal["int8"] | None) -> None:
    fast = optimize(classifier(), dtype="float32", quantize=quantize)
    expected = fast(*batch()).logits
    attempt, message = IMPOSSIBLE[name]
    with pytest.raises(NysformerError, match=message) as caught:
        attempt(fast)
    assert "\n" not in str(caught.value)
    assert torch.equal(fast(*batch()).logits, expected), "nothing was changed halfway"


def with_quantized_layer(model: Any) -> Any:
    layer = model.base_model.encoder.layer[1]
    layer.output.dense = torch.ao.nn.quantized.dynamic.Linear(96, 64)
    return model


def with_hook(model: Any) -> Any:
    model.base_model.encoder.layer[1].attention.self.key.register_forward_hook(lambda *_: None)
    return model


def with_adapter(model: Any) -> Any:
    model.add_adapter(LoraConfig(target_modules=["query"]))
    return model


UNREADABLE: dict[str, tuple[Callable[[Any], Any], str]] = {
    "peft": (lambda model: get_peft_model(model, LoraConfig(target_modules=["query"])), "merge_and_unload"),
    "adapter": (with_adapter, r"layer.0.attention.self.query has an adapter .*merge_and_unload"),
    "a layer of another kind": (with_quantized_layer, r"layer.1.output.dense is a torch.ao.*not a plain linear layer"),
    "a hook": (with_hook, r"a hook hangs inside encoder.layer.1"),
    "data parallel": (torch.nn.DataParallel, r"optimize\(model.module\)"),
    "a module": (lambda model: torch.nn.Linear(2, 2), "takes a nysformer model, and this is a Linear"),
    "a path": (lambda model: "runs/demo", "takes a nysformer model, and this is a str: load one"),
    "transformers' own": (
        lambda model: transformers.NystromformerModel(
            transformers.NystromformerConfig(hidden_size=8, num_hidden_layers=1, num_attention_heads=1, vocab_size=9)
        ),
        "nysformer's own classes",
    ),
    "meta": (lambda model: model.to("meta"), "this one is on meta: move it first"),
}


@pytest.mark.parametrize("name", UNREADABLE)
@pytest.mark.filterwarnings("ignore:torch.quantize_per_tensor:UserWarning")
@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")
def test_what_optimize_cannot_read_is_refused_in_one_line(name: str) -> None:
    spoil, message = UNREADABLE[name]
    with pytest.raises(NysformerError, match=message) as caught:
        optimize(spoil(classifier()), dtype="float32")
    assert "\n" not in str(caught.value)


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")
def test_a_merged_adapter_and_a_parametrized_weight_are_read() -> None:
    model = classifier()
    adapted = get_peft_model(model, LoraConfig(target_modules=["query"], init_lora_weights=False))
    merged = adapted.merge_and_unload()
    parametrizations.weight_norm(merged.base_model.encoder.layer[0].output.dense)
    with torch.no_grad():
        torch.testing.assert_close(
            optimize(merged, dtype="float32")(*batch()).logits, merged(*batch()).logits, rtol=0, atol=1e-5
        )


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_weights_that_are_not_finite_are_not_optimized(value: float) -> None:
    model = classifier()
    with torch.no_grad():
        model.base_model.encoder.layer[1].attention.self.query.weight[3, 4] = value
    with pytest.raises(
        NysformerError, match=r"encoder.layer.1.attention.self.query.weight is not finite, it holds .* in float32"
    ):
        optimize(model, dtype="float32")


def test_compiled_once_for_all_lengths() -> None:
    """No graph break, and one program for every length and batch."""
    model = classifier()
    fast = optimize(model, dtype="float32")
    torch._dynamo.reset()
    compiled = optimize(model, dtype="float32", compile=True)
    shapes = [(2, 300), (3, 77), (5, 600), (2, 9), (1, 64)]
    with torch.no_grad():
        for index, (documents, length) in enumerate(shapes):
            ids = torch.randint(2, VOCABULARY, (documents, length))
            # A batch of one is a program of its own to PyTorch, and so may be the first shape.
            free = index == 0 or documents == 1
            with torch.compiler.set_stance("default" if free else "fail_on_recompile"):
                found = compiled(ids, torch.ones_like(ids)).logits
            torch.testing.assert_close(found, fast(ids).logits, rtol=0, atol=1e-4)
