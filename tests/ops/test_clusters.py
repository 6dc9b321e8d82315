"""Clusters: the reference's at every length, whatever stands under a mask, in any pieces; ties, gradients, dtypes."""

from collections.abc import Iterator
from contextlib import contextmanager
from unittest.mock import patch

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from nysformer.ops import clusters, reference, segment_means
from nysformer.ops.clusters import assign, cluster_means, cluster_pieces
from nysformer.ops.landmarks import segment_starts

NAN = float("nan")
lengths, numbers, steps, seeds = st.integers(1, 150), st.integers(1, 20), st.integers(1, 4), st.integers(0, 99)


def draw(batch: int, length: int, seed: int, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(batch, 2, length, 4, generator=torch.Generator().manual_seed(seed), dtype=dtype)


@contextmanager
def small_blocks() -> Iterator[None]:
    """Several chunks a document, and several blocks a chunk."""
    with patch.object(clusters, "_NUMBERS", 4 * 40 * 4), patch.object(clusters, "_FEWEST_ROWS", 13):
        yield


def by_reference(x: Tensor, number: int, steps: int) -> Tensor:
    """(B, H, N, D) to (B, H, M, D), a head at a time; empty segments begin at 0."""
    return torch.stack(
        [
            torch.stack(
                [
                    reference.cluster_centres(rows, reference.segment_means(rows, number).nan_to_num(0.0), steps)
                    for rows in document
                ]
            )
            for document in x
        ]
    )


@given(n=lengths, m=numbers, steps=steps, seed=seeds, gradients=st.booleans())
def test_equals_the_reference(n: int, m: int, steps: int, seed: int, gradients: bool) -> None:
    ours = draw(2, n, seed).requires_grad_(gradients)
    theirs = ours.detach().clone().requires_grad_(gradients)
    with small_blocks(), torch.set_grad_enabled(gradients):
        found, expected = cluster_means(ours, segment_starts(ours, m), steps), by_reference(theirs, m, steps)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
    if gradients:
        seed_of = torch.randn_like(found)
        (gradient,) = torch.autograd.grad(found, ours, seed_of)
        (truth,) = torch.autograd.grad(expected, theirs, seed_of)
        torch.testing.assert_close(gradient, truth, rtol=1e-12, atol=1e-12)


@given(n=lengths, m=numbers, steps=steps, keep=st.sampled_from([0.0, 0.1, 0.5, 0.9]), seed=seeds, grad=st.booleans())
def test_masked_tokens_do_not_exist(n: int, m: int, steps: int, keep: float, seed: int, grad: bool) -> None:
    x = draw(3, n, seed)
    mask = torch.rand(3, n, generator=torch.Generator().manual_seed(seed)) < keep
    mask[0] = True
    poisoned = x.masked_fill(~mask[:, None, :, None], NAN).requires_grad_(grad)
    with small_blocks(), torch.set_grad_enabled(grad):
        found = cluster_means(poisoned, segment_starts(poisoned, m, mask), steps, mask)
        for b in range(3):
            alone = x[b : b + 1, :, mask[b]]
            torch.testing.assert_close(
                found[b : b + 1], cluster_means(alone, segment_starts(alone, m), steps), rtol=1e-12, atol=1e-12
            )
    if grad:
        (gradient,) = torch.autograd.grad(found.sum(), poisoned)
        assert gradient.isfinite().all()
        assert not gradient.transpose(1, 2)[~mask].any()


@given(cuts=st.lists(st.integers(1, 60), min_size=1, max_size=5), m=numbers, steps=steps, seed=seeds)
def test_pieces_add_up_to_the_whole(cuts: list[int], m: int, steps: int, seed: int) -> None:
    x = draw(2, sum(cuts), seed)
    whole = cluster_means(x, segment_starts(x, m), steps)
    pieces = x.split(cuts, dim=2)
    torch.testing.assert_close(cluster_pieces(pieces, sum(cuts), m, steps), whole, rtol=1e-12, atol=1e-12)


def test_equal_distances_go_to_the_lowest_index() -> None:
    x = torch.tensor([0.0, 2.0, 2.0, 4.0]).reshape(1, 1, 4, 1)
    centres = torch.tensor([5.0, 1.0, 3.0, 1.0, 3.0]).reshape(1, 1, 5, 1)
    index, sums = assign(x, centres)
    assert index.flatten().tolist() == [1, 1, 1, 0]
    assert sums.counts.flatten().tolist() == [1, 3, 0, 0, 0]


def test_a_document_of_one_token_repeated() -> None:
    x = torch.full((1, 1, 40, 3), 0.5)
    start = segment_means(x, 8)
    assert torch.equal(cluster_means(x, start, 3), start)


def test_an_empty_cluster_keeps_its_centre_and_its_gradient() -> None:
    # After one step centre 1 holds token 1.0 alone; in the second all tokens are nearer to other centres.
    x = torch.tensor([0.0, 0.1, 1.0, 1.1, 9.0, 9.1], dtype=torch.float64).reshape(1, 1, 6, 1)
    start = torch.tensor([0.0, 5.0, 1.0], dtype=torch.float64).reshape(1, 1, 3, 1).requires_grad_()
    found = cluster_means(x, start, 1)
    assert found.flatten().tolist() == pytest.approx([0.05, 9.05, 1.05])
    far = torch.tensor([0.0, 50.0, 1.0], dtype=torch.float64).reshape(1, 1, 3, 1).requires_grad_()
    found = cluster_means(x, far, 2)
    assert found.flatten()[1] == 50.0
    (gradient,) = torch.autograd.grad(found.sum(), far)
    assert gradient.flatten().tolist() == [0.0, 1.0, 0.0]


def test_what_is_not_a_number_belongs_nowhere() -> None:
    x = draw(2, 30, 0, torch.float32)
    x[0, 0, 7] = NAN
    index, sums = assign(x, segment_means(x.nan_to_num(0.0), 5))
    assert index[0, 0, 7] == 5
    assert sums.sums.isfinite().all()
    assert int(sums.counts.sum()) == 2 * 2 * 30 - 1


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("gradients", [False, True])
def test_half_precision_is_float32_of_the_same_numbers(dtype: torch.dtype, gradients: bool) -> None:
    x = draw(2, 200, 1, torch.float32).to(dtype).requires_grad_(gradients)
    with torch.set_grad_enabled(gradients), torch.autocast("cpu", torch.bfloat16):
        found = cluster_means(x, segment_starts(x, 8), 2)
    plain = x.detach().float()
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, cluster_means(plain, segment_starts(plain, 8), 2), rtol=1e-6, atol=1e-6)


def test_derivatives() -> None:
    x = draw(1, 13, 2).requires_grad_()

    def centres(y: Tensor) -> Tensor:
        return cluster_means(y, segment_starts(y, 4), 2)

    assert torch.autograd.gradcheck(centres, x, check_forward_ad=True, check_batched_grad=True)
    assert torch.autograd.gradgradcheck(lambda y: centres(y).square(), x)


def test_transformed_and_recorded_it_is_the_same() -> None:
    x = draw(3, 60, 3)
    expected = cluster_means(x, segment_starts(x, 6), 2)

    def centres(y: Tensor) -> Tensor:
        return cluster_means(y, segment_starts(y, 6), 2)

    assert torch.equal(torch.func.vmap(centres)(x[:, None])[:, 0], expected)
    torch.compiler.reset()
    assert torch.equal(torch.compile(centres, fullgraph=True, backend="eager")(x), expected)
    (gradient,) = torch.autograd.grad(centres(y := x.clone().requires_grad_()).square().sum(), y)
    torch.testing.assert_close(torch.func.grad(lambda z: centres(z).square().sum())(x), gradient)
