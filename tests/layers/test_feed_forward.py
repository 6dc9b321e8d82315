"""The dense blocks by their formulas."""

import torch
from torch import nn

from nysformer.layers import Intermediate, ResidualOutput


def test_intermediate() -> None:
    module = Intermediate(8, 12, nn.ReLU())
    x = torch.randn(3, 5, 8)
    torch.testing.assert_close(module(x), (x @ module.dense.weight.T + module.dense.bias).relu())


def test_residual_output() -> None:
    module = ResidualOutput(12, 8, layer_norm_eps=0.5, dropout=0.0)
    x, residual = torch.randn(5, 12), torch.randn(5, 8)
    total = x @ module.dense.weight.T + module.dense.bias + residual
    expected = (total - total.mean(-1, keepdim=True)) / (total.var(-1, unbiased=False, keepdim=True) + 0.5).sqrt()
    torch.testing.assert_close(module(x, residual), expected)


def test_dropout_spares_the_residual() -> None:
    module = ResidualOutput(12, 8, layer_norm_eps=1e-5, dropout=1.0)
    residual = torch.randn(5, 8)
    torch.testing.assert_close(module(torch.randn(5, 12), residual), nn.functional.layer_norm(residual, (8,)))
