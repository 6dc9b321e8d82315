"""The formulas of cost against what PyTorch counts."""

import weakref
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from nysformer.models.cost import document_cost

Make = Callable[..., Any]
MODES: list[dict[str, Any]] = [
    {"attention_mode": "softmax"},
    {"attention_mode": "nystrom"},
    {"attention_mode": "auto", "softmax_max_length": 100},
    {"attention_mode": "nystrom", "pruned_heads": {0: [1, 2]}},
    {"landmarks": "clusters", "landmark_steps": 3},
    {"layer_overrides": {1: {"num_landmarks": 16, "softmax_max_length": 100}}},
]


class Live(TorchDispatchMode):
    """The largest sum of the sizes of all results alive at once, in bytes."""

    def __init__(self) -> None:
        super().__init__()
        self.known: set[int] = set()
        self.now = self.most = 0

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = function(*args, **(kwargs or {}))
        given = {leaf.untyped_storage()._cdata for leaf in tree_leaves(args) if isinstance(leaf, Tensor)}
        for leaf in tree_leaves(result):
            if isinstance(leaf, Tensor):
                storage = leaf.untyped_storage()
                key = storage._cdata
                if key in given or key in self.known:
                    continue
                self.known.add(key)
                self.now += storage.nbytes()
                self.most = max(self.most, self.now)
                weakref.finalize(storage, self.gone, key, storage.nbytes())
        return result

    def gone(self, key: int, size: int) -> None:
        self.known.discard(key)
        self.now -= size


@pytest.mark.parametrize("options", MODES, ids=str)
@pytest.mark.parametrize("tokens", [1, 8, 90, 200])
@torch.no_grad()
def test_arithmetic(make: Make, options: dict[str, Any], tokens: int) -> None:
    model = make("Model", conv_kernel_size=None, **options)
    # The fused kernels are not counted; the plain form computes the same products.
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
        model(torch.randint(2, 99, (1, tokens)))
    cost = document_cost(model.config, tokens)
    assert cost.flops == pytest.approx(counter.get_total_flops(), rel=0.01)
    assert 0 <= cost.attention_share < 1


def test_the_convolution_counts(tiny: Make) -> None:
    with_it, without = (document_cost(tiny(conv_kernel_size=size), 200).flops for size in (5, None))
    assert with_it - without == 2 * 2 * 200 * 32 * 5  # layers, a product and a sum, tokens, channels, taps


@pytest.mark.parametrize(
    "options", [{"attention_mode": "softmax"}, {"attention_mode": "nystrom"}, {"landmarks": "clusters"}], ids=str
)
@torch.no_grad()
def test_memory_is_of_that_size(make: Make, options: dict[str, Any]) -> None:
    sizes = {"hidden_size": 64, "intermediate_size": 256, "num_landmarks": 32, "max_position_embeddings": 10_000}
    model = make("Model", **options, **sizes)
    for tokens in (1024, 4096, 10_000):
        with Live() as live:
            model(torch.randint(2, 99, (1, tokens)))
        assert 0.6 < document_cost(model.config, tokens).memory / live.most < 1.7


def test_landmarks_are_linear_and_softmax_is_not(tiny: Make) -> None:
    for mode, growth in (("softmax", 15), ("nystrom", 4.1)):
        config = tiny(attention_mode=mode, num_landmarks=8)
        shorter, longer = (document_cost(config, tokens) for tokens in (50_000, 200_000))
        ratio = longer.flops / shorter.flops
        assert ratio > growth if mode == "softmax" else ratio < growth
        assert shorter.attention == ("softmax" if mode == "softmax" else "landmarks")


def test_layers_that_differ(tiny: Make) -> None:
    config = tiny(layer_overrides={1: {"softmax_max_length": 100}})
    assert [document_cost(config, tokens).attention for tokens in (8, 100, 101)] == [
        "softmax",
        "landmarks and softmax",
        "landmarks",
    ]
