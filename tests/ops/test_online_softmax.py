"""Softmax attention of keys in pieces against that of all keys at once."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from nysformer.ops.online_softmax import OnlineSoftmax

TOLERANCE = {torch.float64: 1e-12, torch.float32: 1e-5, torch.bfloat16: 2e-2}
dtypes = st.sampled_from([torch.float32, torch.bfloat16])
cuts = st.lists(st.integers(1, 90), min_size=1, max_size=5)
sizes = st.sampled_from([0.1, 1.0, 8.0])


def draw(cuts: list[int], size: float, dtype: torch.dtype) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    keys, values = (torch.randn(2, sum(cuts), 3, 8).transpose(1, 2).to(dtype) for _ in range(2))
    return (size * torch.randn(2, 3, 5, 8)).to(dtype), keys, values


def close(ours: torch.Tensor, theirs: torch.Tensor, dtype: torch.dtype) -> None:
    bound = TOLERANCE[dtype] * max(1.0, theirs.abs().max().item())
    torch.testing.assert_close(ours.to(theirs.dtype), theirs, atol=bound, rtol=0)


@given(cuts=cuts, size=sizes, dtype=dtypes)
@torch.no_grad()
def test_keys_in_any_blocks_are_keys_at_once(cuts: list[int], size: float, dtype: torch.dtype) -> None:
    queries, keys, values = draw(cuts, size, dtype)
    summary, whole = OnlineSoftmax(queries, 0.25), OnlineSoftmax(queries, 0.25)
    for key, value in zip(keys.split(cuts, dim=2), values.split(cuts, dim=2), strict=True):
        summary.add(key, value)
    whole.add(keys, values)
    assert summary.result().dtype == torch.float32
    close(summary.result(), whole.result(), dtype)
    if dtype == torch.float32 or size <= 1.0:  # large scores are rounded in half precision, whoever computes them
        theirs = F.scaled_dot_product_attention(queries.float(), keys.float(), values.float(), scale=0.25)
        close(summary.result(), theirs, dtype)


@given(cuts=cuts, size=sizes, order=st.randoms(), implementation=st.sampled_from(["sdpa", "eager"]))
def test_merged_in_any_order_with_gradients(cuts: list[int], size: float, order: object, implementation: str) -> None:
    leaves = [x.requires_grad_() for x in draw(cuts, size, torch.float64)]
    query, keys, values = leaves
    parts = []
    for key, value in zip(keys.split(cuts, dim=2), values.split(cuts, dim=2), strict=True):
        parts.append(OnlineSoftmax(query, 0.25, implementation))  # type: ignore[arg-type]
        parts[-1].add(key, value)
    parts.append(OnlineSoftmax(query, 0.25))  # a piece without keys
    order.shuffle(parts)  # type: ignore[attr-defined]
    whole = OnlineSoftmax(query, 0.25)
    for part in parts:
        whole.merge(part)
    theirs = F.scaled_dot_product_attention(query, keys, values, scale=0.25)
    close(whole.result(), theirs, torch.float64)
    seed = torch.randn_like(theirs)
    for ours, truth in zip(
        torch.autograd.grad(whole.result(), leaves, seed), torch.autograd.grad(theirs, leaves, seed), strict=True
    ):
        close(ours, truth, torch.float64)


def test_masked_pieces() -> None:
    query, keys, values = draw([20, 30], 1.0, torch.float64)
    mask = (torch.rand(2, 1, 1, 50) < 0.7).index_fill(3, torch.tensor([0, 20]), True)
    summary = OnlineSoftmax(query, 0.25)
    for rows in (slice(0, 20), slice(20, 50)):
        summary.add(keys[:, :, rows], values[:, :, rows], mask[..., rows])
    theirs = F.scaled_dot_product_attention(query, keys, values, mask, scale=0.25)
    close(summary.result(), theirs, torch.float64)


@pytest.mark.parametrize("gradients", [False, True])
def test_scores_far_apart_from_piece_to_piece(gradients: bool) -> None:
    """Nothing overflows, whichever piece holds the largest score."""
    keys = torch.tensor([-300.0, 0.0, 300.0, 299.0]).reshape(1, 1, 4, 1)
    values = torch.tensor([1.0, 2.0, 3.0, 4.0]).reshape(1, 1, 4, 1)
    with torch.set_grad_enabled(gradients):
        for order in ([0, 1, 2, 3], [2, 3, 1, 0]):
            summary = OnlineSoftmax(torch.ones(1, 1, 1, 1), 1.0)
            for place in order:
                summary.add(keys[:, :, place : place + 1], values[:, :, place : place + 1])
            expected = F.scaled_dot_product_attention(torch.ones(1, 1, 1, 1), keys, values, scale=1.0)
            torch.testing.assert_close(summary.result(), expected)
