"""optimize: the same numbers, faster; each precision within its own rounding; refusals."""

import copy
from pathlib import Path
from typing import Literal

import pytest
import torch

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
