"""Dropout: torch's numbers in expectation, and a mask of one byte a number."""

import torch

from nysformer.layers.dropout import Dropout


def test_drops_scales_and_passes_the_gradient_of_what_is_left():
    torch.manual_seed(0)
    x = torch.ones(100, 100, requires_grad=True)
    out = Dropout(0.2)(x)
    out.sum().backward()
    kept = out != 0
    assert abs(kept.float().mean().item() - 0.8) < 0.02
    torch.testing.assert_close(out[kept], torch.full_like(out[kept], 1.25))
    torch.testing.assert_close(x.grad, out.detach())


def test_nothing_is_dropped_in_evaluation_or_at_zero():
    x = torch.randn(5)
    assert torch.equal(Dropout(0.5).eval()(x), x)
    assert torch.equal(Dropout(0.0)(x), x)
    assert not Dropout(1.0)(x).any()
