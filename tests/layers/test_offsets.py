"""Layers made of offsets to another layer's weights."""

import copy

import torch
from torch import nn

from nysformer import NystromformerConfig, NystromformerLayer
from nysformer.layers import OffsetLinear, OffsetNorm, add_up, offset_from
from nysformer.layers.linear import is_plain_linear
from nysformer.ops import Layout


def layers(**settings: object) -> tuple[NystromformerLayer, NystromformerLayer]:
    """A layer and one of offsets to it."""
    torch.manual_seed(0)
    shape = {"hidden_size": 32, "num_attention_heads": 4, "intermediate_size": 64, "num_landmarks": 8}
    config = NystromformerConfig(**shape, conv_kernel_size=5, **settings)
    base = NystromformerLayer(config).eval()
    return base, offset_from(base, NystromformerLayer(config).eval())


def stir(layer: nn.Module) -> None:
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))


def test_a_layer_of_offsets_is_the_other_layer_to_begin_with_and_follows_it() -> None:
    base, layer = layers()
    hidden, layout = torch.randn(60, 32), Layout([20, 40])
    assert torch.equal(layer(hidden, layout)[0], base(hidden, layout)[0])
    stir(base)
    assert torch.equal(layer(hidden, layout)[0], base(hidden, layout)[0])
    stir(layer)
    assert not torch.allclose(layer(hidden, layout)[0], base(hidden, layout)[0])


def test_it_stores_offsets_only_and_borrows_the_convolution() -> None:
    base, layer = layers()
    kept = set(layer.state_dict())
    assert kept == {key for key in base.state_dict() if "conv" not in key}
    assert not any(value.any() for value in layer.state_dict().values())


def test_gradients_reach_both() -> None:
    base, layer = layers()
    stir(layer)
    layer(torch.randn(30, 32), Layout([30]))[0].square().sum().backward()
    ours, theirs = (each.attention.self.query.weight.grad for each in (layer, base))
    assert torch.equal(ours, theirs)
    assert base.attention.self.conv.weight.grad.any()


def test_sums_are_the_same_layer_without_the_other() -> None:
    base, layer = layers()
    stir(layer)
    hidden, layout = torch.randn(60, 32), Layout([60])
    expected = layer(hidden, layout)[0]
    add_up(layer)
    assert not any(isinstance(module, OffsetLinear | OffsetNorm) for module in layer.modules())
    torch.testing.assert_close(layer(hidden, layout)[0], expected)
    assert base is not layer


def test_a_copy_of_both_keeps_them_together() -> None:
    both = nn.ModuleList(layers())
    copied = copy.deepcopy(both)
    stir(copied[0])
    hidden, layout = torch.randn(10, 32), Layout([10])
    assert torch.equal(copied[1](hidden, layout)[0], copied[0](hidden, layout)[0])


def test_projections_stay_linear_so_that_long_documents_stream() -> None:
    _, layer = layers()
    assert is_plain_linear(layer.attention.self.query)
    assert layer.attention.self.projects_linearly()
