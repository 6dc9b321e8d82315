"""A plain linear layer runs on the fast product, unless a tool took its place or watches its call."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_hook
from torch.nn.utils import parametrize, prune

from nysformer.layers import linear as linear_module
from nysformer.layers import project
from nysformer.layers.linear import is_plain_linear


class Double(nn.Module):
    def forward(self, weight: Tensor) -> Tensor:
        return 2 * weight


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[Tensor]:
    """The inputs of every product that `project` runs by itself."""
    seen: list[Tensor] = []
    product = linear_module.linear

    def counted(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        seen.append(x)
        return product(x, weight, bias)

    monkeypatch.setattr(linear_module, "linear", counted)
    return seen


def test_is_the_module_s_own_product(calls: list[Tensor]) -> None:
    layer, x = nn.Linear(5, 3), torch.randn(2, 7, 5)
    torch.testing.assert_close(project(layer, x), layer(x))
    torch.testing.assert_close(project(nn.Linear(5, 3, bias=False), x).shape, (2, 7, 3))
    assert len(calls) == 2


def test_what_watches_or_replaces_the_call_is_called(calls: list[Tensor], monkeypatch: pytest.MonkeyPatch) -> None:
    x = torch.randn(2, 5)

    def plain() -> nn.Linear:
        torch.manual_seed(0)
        return nn.Linear(5, 3)

    expected = plain()(x)

    def check(layer: nn.Module, output: Tensor) -> None:
        assert not is_plain_linear(layer)
        torch.testing.assert_close(project(layer, x), output)

    layer = plain()
    layer.register_forward_hook(lambda *_: torch.ones(1))
    check(layer, torch.ones(1))
    layer = plain()
    layer.register_forward_pre_hook(lambda _, arguments: (arguments[0] + 1,))
    check(layer, plain()(x + 1))
    layer = plain()
    layer.forward = lambda x: x  # type: ignore[method-assign]  # as offloading does
    check(layer, x)
    layer = plain()
    seen: list[object] = []
    layer.register_full_backward_hook(lambda *_: seen.append(1))
    check(layer, expected)
    project(layer, x.requires_grad_()).sum().backward()
    assert seen == [1]
    x = x.detach()
    layer = plain()
    parametrize.register_parametrization(layer, "weight", Double())
    check(layer, torch.nn.functional.linear(x, 2 * plain().weight, plain().bias))
    layer = plain()
    prune.l1_unstructured(layer, "weight", amount=0.5)
    assert (layer.weight == 0).sum() == 8
    check(layer, torch.nn.functional.linear(x, layer.weight, layer.bias))
    check(nn.Sequential(plain(), nn.ReLU()), expected.relu())
    handle = register_module_forward_hook(lambda *_: torch.ones(2))
    try:
        check(plain(), torch.ones(2))
    finally:
        handle.remove()
    with monkeypatch.context() as patch:
        patch.setattr(nn.Linear, "forward", lambda self, x: 3 * x)
        check(plain(), 3 * x)
    assert not calls
    assert is_plain_linear(plain())


def test_functional_call_and_tensor_subclasses() -> None:
    class Parent(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.dense = nn.Linear(5, 3)

        def forward(self, x: Tensor) -> Tensor:
            return project(self.dense, x)

    parent, x = Parent(), torch.randn(2, 5)
    weights = {key: torch.ones_like(value) for key, value in parent.state_dict().items()}
    torch.testing.assert_close(
        torch.func.functional_call(parent, weights, (x,)), x.sum(1, keepdim=True).expand(2, 3) + 1
    )
