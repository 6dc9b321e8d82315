"""The attention module: packed and dense, masks of heads, maps, dropout."""

from dataclasses import asdict
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from nysformer import NysformerError
from nysformer.layers import SelfAttention, attention
from nysformer.ops import Layout, NystromSpec, reference

lengths = st.lists(st.one_of(st.integers(0, 60), st.integers(7, 9)), min_size=1, max_size=4).filter(any)
OPTIONS: list[dict[str, Any]] = [
    {"num_landmarks": None},
    {"num_landmarks": 8},
    {"num_landmarks": 8, "softmax_max_length": 20, "per_head_start": True, "pinv_iterations": 3},
    {"num_landmarks": 8, "landmarks": "clusters", "landmark_steps": 3},
]


def module(conv_kernel_size: int | None = 5, dropout: float = 0.0, **options: Any) -> SelfAttention:
    torch.manual_seed(0)
    spec = None if options["num_landmarks"] is None else NystromSpec(**options)
    return SelfAttention(32, 4, 8, spec, conv_kernel_size=conv_kernel_size, dropout=dropout).double().eval()


def by_reference(layer: SelfAttention, hidden: Tensor) -> Tensor:
    """One document (n, E) by the formula: its context (n, E)."""
    parts = (getattr(layer, name)(hidden).unflatten(-1, (4, 8)) for name in ("query", "key", "value"))
    context = reference.attention(
        *parts,
        **({"num_landmarks": None} if layer.spec is None else asdict(layer.spec)),
        conv_weight=None if layer.conv is None else layer.conv.weight,
    )
    return context.flatten(1)


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("kernel", [None, 5])
@settings(max_examples=15)
@given(lengths=lengths)
def test_packed_equals_the_reference(options: dict[str, Any], kernel: int | None, lengths: list[int]) -> None:
    layer = module(kernel, **options)
    hidden = torch.randn(sum(lengths), 32, dtype=torch.float64)
    context, full = layer(hidden, Layout(lengths))
    assert full is None
    for rows, document in zip(context.split(lengths), hidden.split(lengths), strict=True):
        if len(document):
            torch.testing.assert_close(rows, by_reference(layer, document), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_dense_equals_packed(options: dict[str, Any]) -> None:
    layer = module(**options)
    hidden, mask = torch.randn(3, 40, 32, dtype=torch.float64), torch.rand(3, 40) < 0.6
    mask[2, 5:] = False
    layout = Layout.from_mask(mask)
    packed, _ = layer(layout.pack(hidden), layout)
    dense, _ = layer(hidden, mask)
    torch.testing.assert_close(layout.pack(dense), packed, rtol=1e-9, atol=1e-9)
    whole, _ = layer(hidden, None)
    torch.testing.assert_close(whole.flatten(0, 1), layer(hidden.flatten(0, 1), Layout([40] * 3))[0])


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("kernel", [None, 5])
@pytest.mark.parametrize("heads", [None, [1.0, 0.0, 0.5, 1.0]])
def test_by_the_map(options: dict[str, Any], kernel: int | None, heads: list[float] | None) -> None:
    layer = module(kernel, **options)
    mask = torch.rand(3, 40) < 0.6
    mask[1], mask[2, 5:] = False, False
    layout = Layout.from_mask(mask)
    hidden = torch.randn(layout.num_tokens, 32, dtype=torch.float64)
    head_mask = None if heads is None else torch.tensor(heads)
    expected, _ = layer(hidden, layout, head_mask)
    context, full = layer(hidden, layout, head_mask, return_map=True)
    torch.testing.assert_close(context, expected, rtol=1e-9, atol=1e-9)
    assert full.shape == (3, 4, 40, 40)
    assert not full[1].any()
    assert not full.transpose(1, 2)[~mask].any()
    if heads is not None:
        assert not full[:, 1].any()


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_a_head_mask_scales_attention_and_convolution(options: dict[str, Any]) -> None:
    layer = module(**options)
    hidden, layout = torch.randn(60, 32, dtype=torch.float64), Layout([20, 40])
    whole, _ = layer(hidden, layout)
    scaled, _ = layer(hidden, layout, torch.tensor([0.0, 1.0, 2.0, 0.5]))
    for head, factor in enumerate((0.0, 1.0, 2.0, 0.5)):
        here = slice(8 * head, 8 * head + 8)
        torch.testing.assert_close(scaled[:, here], factor * whole[:, here])
    dense, _ = layer(hidden[None, :20], None, torch.tensor([0.0, 1.0, 2.0, 0.5]))
    torch.testing.assert_close(dense[0], scaled[:20])


def test_dropout_only_in_training() -> None:
    for options in OPTIONS:
        layer = module(dropout=0.5, **options)
        hidden, layout = torch.randn(60, 32, dtype=torch.float64), Layout([20, 40])
        whole, _ = layer(hidden, layout)
        assert torch.equal(layer(hidden, layout)[0], whole)
        layer.train()
        assert not torch.allclose(layer(hidden, layout)[0], whole)
        layer.dropout = 0.0
        assert torch.equal(layer(hidden, layout)[0], whole)


def test_maps_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    layer = module(num_landmarks=8)
    hidden = torch.randn(1, 20, 32, dtype=torch.float64)
    with pytest.raises(ValueError, match="pass a Layout"):
        layer(hidden, None, return_map=True)
    monkeypatch.setattr(attention, "MAX_MAP_BYTES", 100)
    with pytest.raises(NysformerError, match="attention_rows"):
        layer(hidden[0], Layout.dense(1, 20), return_map=True)
