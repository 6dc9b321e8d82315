"""No (N, M) or (N, S) tensor is ever made, forward or backward: every tensor of every operation is looked at."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from nysformer.ops import nystrom_attention, softmax_attention

N, S, M, H, D, K = 2048, 1600, 48, 2, 4, 5


class Watch(TorchDispatchMode):
    """Keeps the shape and the stored size of every tensor that an operation returns."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: set[tuple[str, tuple[int, ...], int]] = set()

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = function(*args, **(kwargs or {}))
        for leaf in tree_leaves(result):
            if isinstance(leaf, Tensor):
                size = leaf.untyped_storage().nbytes() // leaf.element_size()
                self.seen.add((str(function), tuple(leaf.shape), size))
        return result

    def quadratic(self, lengths: set[int], small: set[int]) -> list[tuple[str, tuple[int, ...], int]]:
        """Tensors with a sequence in one dimension and a sequence or the landmarks in another, that are stored so."""
        found = []
        for name, shape, size in self.seen:
            long = [n for n in shape if n in lengths]
            if (len(long) > 1 or (long and small & set(shape))) and size >= min(lengths) * min(small | lengths):
                found.append((name, shape, size))
        return found


def run(attend: Callable[..., Tensor], query: Tensor, key: Tensor, value: Tensor, conv: Tensor | None) -> Watch:
    leaves = [x.requires_grad_() for x in (query, key, value)]
    with Watch() as watch:
        attend(*leaves, **({} if conv is None else {"conv_weight": conv.requires_grad_()})).sum().backward()
    assert watch.seen
    return watch


def qkv(n: int = N, s: int = N) -> tuple[Tensor, Tensor, Tensor]:
    return torch.randn(1, H, n, D), torch.randn(1, H, s, D), torch.randn(1, H, s, D)


def test_the_watch_sees_what_must_not_be() -> None:
    def plain(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        return (query @ key.transpose(-1, -2)).softmax(-1) @ value

    assert run(plain, *qkv(), None).quadratic({N}, {M})

    def factor(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        return (query @ key[:, :, :M].transpose(-1, -2)).softmax(-1) @ value[:, :, :M]

    assert run(factor, *qkv(), None).quadratic({N}, {M})


mask = torch.ones(1, N, dtype=torch.bool)
mask[:, 1000:1010] = False
mask[:, 2000:] = False
cross_mask = torch.ones(1, S, dtype=torch.bool)
cross_mask[:, 1500:] = False

FORMS: dict[str, dict[str, Any]] = {
    "whole": {},
    "masked": {"mask": mask},
    "exact up to 64": {"softmax_max_length": 64},
    "masked, exact up to 64": {"mask": mask, "softmax_max_length": 64},
    "clusters": {"landmarks": "clusters"},
    "masked, clusters": {"mask": mask, "landmarks": "clusters"},
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("dropout_p", [0.0, 0.1])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_nystrom(form: str, dropout_p: float, dtype: torch.dtype) -> None:
    def attend(*tensors: Tensor, **options: Any) -> Tensor:
        return nystrom_attention(*tensors, num_landmarks=M, dropout_p=dropout_p, **FORMS[form], **options)

    query, key, value = (x.to(dtype) for x in qkv())
    conv = torch.randn(H, 1, K, 1, dtype=dtype)
    assert not run(attend, query, key, value, conv).quadratic({N, 2000, 1990}, {M, 64})


@pytest.mark.parametrize("dropout_p", [0.0, 0.1])
def test_nystrom_packed(dropout_p: float) -> None:
    def attend(*tensors: Tensor, **options: Any) -> Tensor:
        return nystrom_attention(*tensors, num_landmarks=M, offsets=[0, 900, N], dropout_p=dropout_p, **options)

    tensors = (x[0].transpose(0, 1).contiguous() for x in qkv())
    watch = run(attend, *tensors, torch.randn(H, 1, K, 1))
    assert not watch.quadratic({N, 900, N - 900}, {M})


@pytest.mark.parametrize("masked", [False, True])
def test_nystrom_across(masked: bool) -> None:
    def attend(*tensors: Tensor) -> Tensor:
        masks = {"mask": cross_mask, "query_mask": mask} if masked else {}
        return nystrom_attention(*tensors, num_landmarks=M, **masks)

    assert not run(attend, *qkv(N, S), None).quadratic({N, S}, {M})


@pytest.mark.parametrize("form", ["whole", "masked"])
def test_softmax(form: str) -> None:
    def attend(*tensors: Tensor, **options: Any) -> Tensor:
        return softmax_attention(*tensors, **FORMS[form], **options)

    assert not run(attend, *qkv(), torch.randn(H, 1, K, 1)).quadratic({N}, set())
