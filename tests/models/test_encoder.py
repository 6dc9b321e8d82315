"""The backbone's options: every one changes what it says it changes, and nothing else."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from nysformer import NysformerError, NystromformerLayer
from nysformer.models.pruning import prune_layer
from nysformer.ops import depthwise_convolution

Make = Callable[..., Any]
Warned = Callable[[], list[str]]


@pytest.fixture
def ids() -> Tensor:
    return torch.randint(2, 99, (2, 40), generator=torch.Generator().manual_seed(0))


@pytest.fixture
def mask() -> Tensor:
    mask = torch.ones(2, 40, dtype=torch.bool)
    mask[1, 25:] = False
    mask[0, 7] = False
    return mask


@pytest.mark.parametrize("dtype", [torch.bool, torch.int64, torch.uint8, torch.float32, torch.bfloat16])
def test_masks_of_any_dtype(make: Make, ids: Tensor, mask: Tensor, dtype: torch.dtype) -> None:
    model = make("Model")
    assert torch.equal(model(ids, mask.to(dtype))[0], model(ids, mask)[0])


def test_inputs_embeds_are_the_token_embeddings(make: Make, ids: Tensor, mask: Tensor) -> None:
    model = make("Model")
    embeds = model.get_input_embeddings()(ids)
    assert torch.equal(model(inputs_embeds=embeds, attention_mask=mask)[0], model(ids, mask)[0])


def test_position_ids_are_rows_of_the_table(make: Make, ids: Tensor, mask: Tensor) -> None:
    model = make("Model")
    default = model(ids, mask)[0]
    rows = torch.arange(40)[None] + 2
    assert torch.equal(model(ids, mask, position_ids=rows)[0], default)
    assert torch.equal(model(ids, mask, position_ids=rows.expand(2, 40))[0], default)
    shifted = model(ids, mask, position_ids=rows + 1)[0]
    assert not torch.allclose(shifted, default)
    with torch.no_grad():
        table = model.get_position_embeddings().weight
        table.copy_(table.roll(1, dims=0))
    assert torch.equal(model(ids, mask, position_ids=rows + 1)[0], default)
    assert model(ids, mask, position_ids=rows + 257 - 41)[0].isfinite().all(), "the last row is 257"


def test_token_types(make: Make, ids: Tensor, mask: Tensor) -> None:
    model = make("Model")
    default = model(ids, mask)[0]
    assert torch.equal(model(ids, mask, token_type_ids=torch.zeros_like(ids))[0], default)
    ones = model(ids, mask, token_type_ids=torch.ones_like(ids))[0]
    assert not torch.allclose(ones, default)
    assert torch.equal(model(ids, mask, token_type_ids=torch.ones(1, 40, dtype=torch.long))[0], ones)


def test_no_positions(make: Make) -> None:
    model = make("Model", position_embedding_type="none", max_position_embeddings=10, conv_kernel_size=None)
    model.config.attention_mode = "softmax"
    assert "embeddings.position_embeddings.weight" not in model.state_dict()
    ids = torch.randint(2, 99, (1, 300))
    assert model(ids)[0].isfinite().all()
    bag = make("Model", position_embedding_type="none", conv_kernel_size=None, attention_mode="softmax")
    order = torch.randperm(40)
    torch.testing.assert_close(bag(ids[:, :40])[0][:, order], bag(ids[:, :40][:, order])[0], rtol=1e-5, atol=1e-5)
    with pytest.raises(NysformerError, match="no positions"):
        model.extend_positions(20)


@pytest.mark.parametrize("mode", ["auto", "softmax"])
@pytest.mark.parametrize("masked", [False, True])
def test_hidden_states_and_maps(make: Make, ids: Tensor, mask: Tensor, mode: str, masked: bool) -> None:
    """I9: asking for them changes nothing, and each map times the values, plus the convolution, is the context."""
    model = make("Model", attention_mode=mode).double()
    attention_mask = mask if masked else None
    output = model(ids, attention_mask, output_hidden_states=True, output_attentions=True)
    plain = model(ids, attention_mask)
    torch.testing.assert_close(output.last_hidden_state, plain.last_hidden_state, rtol=1e-9, atol=1e-9)
    assert len(output.hidden_states) == 3
    assert len(output.attentions) == 2
    assert output.hidden_states[-1] is output.last_hidden_state
    assert plain.hidden_states is None
    assert plain.attentions is None
    for hidden, after, full, layer in zip(
        output.hidden_states, output.hidden_states[1:], output.attentions, model.encoder.layer, strict=False
    ):
        attention = layer.attention.self
        value = attention.value(hidden).unflatten(-1, (4, 8)).transpose(1, 2)
        context = full @ value
        for b in range(2):
            real = mask[b] if masked else torch.ones_like(mask[b])
            document = context[b][:, real]
            document = document + depthwise_convolution(value[b][:, real][None], attention.conv.weight)[0]
            attended = layer.attention.output(document.transpose(0, 1).flatten(1), hidden[b, real])
            torch.testing.assert_close(layer.feed_forward(attended), after[b, real], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("mode", ["auto", "softmax"])
def test_gradients_reach_what_is_returned(make: Make, ids: Tensor, mask: Tensor, mode: str) -> None:
    model = make("Model", attention_mode=mode)
    output = model(ids, mask, output_hidden_states=True, output_attentions=True)
    for tensor in (*output.hidden_states, *output.attentions):
        tensor.retain_grad()
    output.last_hidden_state.square().sum().backward()
    for tensor in (*output.hidden_states, *output.attentions):
        assert tensor.grad is not None
        assert tensor.grad.any()
    parameters = {key: p.grad.clone() for key, p in model.named_parameters() if p.grad is not None}
    model.zero_grad()
    model(ids, mask)[0].square().sum().backward()
    scale = max(gradient.abs().max() for gradient in parameters.values())
    for key, p in model.named_parameters():
        assert (p.grad - parameters[key]).abs().max() <= 1e-5 * scale, key


def test_forward_hooks_see_each_layer(make: Make, ids: Tensor) -> None:
    model, seen = make("Model"), []
    for layer in model.encoder.layer:
        layer.register_forward_hook(lambda module, inputs, output: seen.append(output[0].shape))
    model(ids)
    assert seen == [torch.Size([80, 32])] * 2, "packed rows"


def test_tuple_and_dict_outputs(make: Make, labelled: Make) -> None:
    for name in ("Model", "ForMaskedLM", "ForMultipleChoice", "ForQuestionAnswering"):
        model, inputs = make(name), labelled(name, 2, 20)
        kwargs = {"output_hidden_states": True, "output_attentions": True, **inputs}
        as_dict, as_tuple = model(**kwargs), model(return_dict=False, **kwargs)
        assert isinstance(as_tuple, tuple)
        assert len(as_tuple) == len(as_dict.to_tuple())
        for a, b in zip(as_tuple, as_dict.to_tuple(), strict=True):
            pairs = zip(a, b, strict=True) if isinstance(a, tuple) else [(a, b)]
            assert all(torch.equal(x, y) for x, y in pairs)
        again = make(name, return_dict=False, output_hidden_states=True, output_attentions=True)(**inputs)
        assert isinstance(again, tuple)
        assert len(again) == len(as_tuple)


@pytest.mark.parametrize("size", [1, 7, 64, 1000])
@pytest.mark.parametrize("masked", [False, True])
def test_chunked_feed_forward(make: Make, ids: Tensor, mask: Tensor, size: int, masked: bool) -> None:
    attention_mask = mask if masked else None
    whole = make("Model")(ids, attention_mask)[0]
    chunked = make("Model", chunk_size_feed_forward=size)(ids, attention_mask)[0]
    torch.testing.assert_close(chunked, whole, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", ["Model", "ForSequenceClassification", "ForMultipleChoice"])
@pytest.mark.parametrize("reentrant", [True, False])
def test_gradient_checkpointing(make: Make, labelled: Make, name: str, reentrant: bool) -> None:
    inputs, results = labelled(name, 2, 40), []
    for checkpointing in (False, True):
        model = make(name, hidden_dropout_prob=0.1, attention_probs_dropout_prob=0.1).train()
        if checkpointing:
            model.activation_checkpointing_enable({"use_reentrant": reentrant})
            assert all(layer.gradient_checkpointing for layer in model.base_model.encoder.layer)
        torch.manual_seed(0)
        output = model(output_hidden_states=True, **inputs)
        (output.last_hidden_state.square().mean() if name == "Model" else output.loss).backward()
        results.append({key: p.grad for key, p in model.named_parameters()})
    for key, gradient in results[0].items():
        torch.testing.assert_close(results[1][key], gradient, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("mode", ["auto", "softmax"])
@pytest.mark.parametrize("maps", [False, True])
def test_attention_dropout(make: Make, ids: Tensor, mode: str, maps: bool) -> None:
    model = make("Model", attention_mode=mode, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.5)
    whole = model(ids, output_attentions=maps)[0]
    assert torch.equal(model(ids, output_attentions=maps)[0], whole)
    model.train()
    first, second = model(ids, output_attentions=maps), model(ids, output_attentions=maps)
    assert not torch.allclose(first[0], whole)
    assert not torch.allclose(first[0], second[0])
    if maps:
        dropped = first.attentions[0] == 0
        columns = dropped.all(dim=2)
        if mode == "softmax":
            assert dropped.float().mean() == pytest.approx(0.5, abs=0.1)
            assert not columns.any()
        else:
            assert torch.equal(dropped.any(dim=2), columns), "a token is dropped for every query or for none"
            assert columns.float().mean() == pytest.approx(0.5, abs=0.1)
    none = make("Model", attention_mode=mode, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0).train()
    assert torch.equal(none(ids, output_attentions=maps)[0], whole)


@pytest.mark.parametrize("mode", ["auto", "softmax"])
@pytest.mark.parametrize("maps", [False, True])
def test_a_masked_head_contributes_nothing(make: Make, ids: Tensor, mask: Tensor, mode: str, maps: bool) -> None:
    """Attention and convolution: the same as pruning it, where heads do not share the start of their inverses."""
    model = make("Model", attention_mode=mode, inv_coeff_init_option=True)
    full = model(ids, mask)[0]
    assert torch.equal(model(ids, mask, head_mask=torch.ones(4))[0], full)
    heads = torch.ones(2, 4)
    heads[0, 1] = heads[1, 0] = heads[1, 3] = 0
    masked = model(ids, mask, head_mask=heads, output_attentions=maps)
    assert not torch.allclose(masked[0], full)
    if maps:
        assert not masked.attentions[0][:, 1].any()
        assert masked.attentions[0][:, 0].any()
    model.prune_heads({0: [1], 1: [0, 3]})
    torch.testing.assert_close(model(ids, mask)[0], masked[0], rtol=1e-5, atol=1e-5)
    # A mask keeps the original numbers after pruning.
    heads[0, 2] = 0
    whole = make("Model", attention_mode=mode, inv_coeff_init_option=True)
    torch.testing.assert_close(
        model(ids, mask, head_mask=heads)[0], whole(ids, mask, head_mask=heads)[0], rtol=1e-5, atol=1e-5
    )


def test_head_masks_get_gradients(make: Make, ids: Tensor) -> None:
    heads = torch.ones(2, 4, requires_grad=True)
    make("Model")(ids, head_mask=heads)[0].square().sum().backward()
    assert heads.grad is not None
    assert (heads.grad != 0).all()


@pytest.mark.parametrize("method", ["tile", "interpolate"])
def test_extend_positions(make: Make, method: str) -> None:
    model = make("ForSequenceClassification", max_position_embeddings=50)
    ids = torch.randint(2, 99, (1, 50))
    before, table = model(ids).logits, model.get_position_embeddings().weight.detach().clone()
    model.extend_positions(120, method=method)
    extended = model.get_position_embeddings().weight
    assert extended.shape == (122, 32)
    assert model.config.max_position_embeddings == 120
    assert extended.requires_grad
    assert torch.equal(extended[:2], table[:2])
    if method == "tile":
        assert torch.equal(model(ids).logits, before)
        assert torch.equal(extended[52:102], table[2:])
        assert torch.equal(extended[102:], table[2:22])
    else:
        assert torch.equal(extended[[2, -1]], table[[2, -1]])
        torch.testing.assert_close(extended[2:].mean(0), table[2:].mean(0), rtol=0.2, atol=0.05)
    assert model(torch.randint(2, 99, (1, 120))).logits.isfinite().all()
    with pytest.raises(NysformerError, match=r"document reaches token 121, and the position table holds 120"):
        model(torch.randint(2, 99, (1, 121)))


def test_extended_positions_are_saved(make: Make, tmp_path: Any) -> None:
    model = make("Model", max_position_embeddings=50)
    model.extend_positions(70)
    model.save_pretrained(tmp_path)
    again = type(model).from_pretrained(tmp_path)
    ids = torch.randint(2, 99, (1, 70))
    assert torch.equal(again(ids)[0], model(ids)[0])


def test_extend_positions_refuses(make: Make) -> None:
    model = make("Model")
    with pytest.raises(NysformerError, match="cannot shrink to 20"):
        model.extend_positions(20)
    with pytest.raises(NysformerError, match="choose 'tile' or 'interpolate'"):
        model.extend_positions(300, method="repeat")
    assert model.config.max_position_embeddings == 256


def test_a_layer_alone_on_dense_hidden_states(tiny: Make, mask: Tensor) -> None:
    layer = NystromformerLayer(tiny()).eval().double()
    hidden = torch.randn(2, 40, 32, dtype=torch.float64)
    whole, full = layer(hidden, None)
    assert full is None
    poisoned = hidden.masked_fill(~mask[..., None], float("nan"))
    masked, _ = layer(poisoned, mask)
    for b in range(2):
        torch.testing.assert_close(layer(hidden[b : b + 1], None)[0], whole[b : b + 1], rtol=1e-9, atol=1e-9)
        alone, _ = layer(hidden[b : b + 1, mask[b]], None)
        torch.testing.assert_close(masked[b, mask[b]], alone[0], rtol=1e-9, atol=1e-9)


def test_a_layer_of_a_pruned_model(tiny: Make) -> None:
    layer = NystromformerLayer(tiny(pruned_heads={1: [0]}), 1).eval()
    full = NystromformerLayer(tiny()).eval()
    prune_layer(full, [1, 2, 3], 8)
    layer.load_state_dict(full.state_dict())
    hidden = torch.randn(1, 30, 32)
    assert torch.equal(layer(hidden, None)[0], full(hidden, None)[0])
