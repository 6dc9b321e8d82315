"""One exported program reads documents on both sides of the landmarks, of any length and batch."""

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.export import Dim

from nysformer.ops import Layout, nystrom_attention

CONV = torch.randn(2, 1, 3, 1, generator=torch.Generator().manual_seed(7), dtype=torch.float64)


class Attention(torch.nn.Module):
    def __init__(self, **options: Any) -> None:
        super().__init__()
        self.options = {"num_landmarks": 4, **options}

    def forward(self, query: Tensor, key: Tensor, mask: Tensor | None = None) -> Tensor:
        return nystrom_attention(query, key, 2 * key, mask=mask, **self.options)


def draw(batch: int, length: int, seed: int = 0) -> Tensor:
    return torch.randn(batch, 2, length, 8, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def lengths_mask(batch: int, length: int) -> Tensor:
    """Full, empty but for one, then with holes."""
    mask = torch.rand(batch, length, generator=torch.Generator().manual_seed(length)) < 0.6
    mask[0] = True
    mask[1:2] = False
    mask[1:2, -1] = True
    return mask


def export(module: Attention, *arguments: Tensor) -> torch.nn.Module:
    length_of = {4: {0: Dim.DYNAMIC, 2: Dim.DYNAMIC}, 2: {0: Dim.DYNAMIC, 1: Dim.DYNAMIC}}
    shapes = tuple(length_of[argument.dim()] for argument in arguments)
    padded = (*shapes, *[None] * (3 - len(arguments)))
    filled = (*arguments, *[None] * (3 - len(arguments)))
    return torch.export.export(module, filled, dynamic_shapes=padded, strict=False).module()


@pytest.mark.parametrize("landmarks", ["segments", "clusters"])
@pytest.mark.parametrize(("masked", "softmax_max_length"), [(False, 0), (True, 9)])
def test_self_attention(masked: bool, softmax_max_length: int, landmarks: str) -> None:
    module = Attention(softmax_max_length=softmax_max_length, landmarks=landmarks, conv_weight=CONV)
    x, y = draw(3, 12), draw(3, 12, seed=1)
    program = export(module, x, y, *([lengths_mask(3, 12)] if masked else []))
    for batch, length in ((1, 1), (2, 3), (3, 4), (1, 5), (4, 9), (2, 10), (3, 61)):
        x, y = draw(batch, length), draw(batch, length, seed=1)
        mask = lengths_mask(batch, length) if masked else None
        torch.testing.assert_close(program(x, y, mask), module(x, y, mask), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("landmarks", ["segments", "clusters"])
def test_cross_attention(landmarks: str) -> None:
    module = Attention(landmarks=landmarks)
    program = export(module, draw(3, 12), draw(3, 20, seed=1), lengths_mask(3, 20))
    for batch, length, keys in ((1, 3, 2), (2, 3, 40), (3, 40, 3), (2, 30, 31)):
        x, y, mask = draw(batch, length), draw(batch, keys, seed=1), lengths_mask(batch, keys)
        torch.testing.assert_close(program(x, y, mask), module(x, y, mask), rtol=1e-9, atol=1e-9)


def test_dense_layout_lists_its_documents_on_demand() -> None:
    layout = Layout.dense(2, 3)
    assert layout.lengths == (3, 3)
    assert layout.num_tokens == 6
    assert layout.offsets == (0, 3, 6)
