"""The forms for inference on a CPU against the plain ones."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from nysformer.ops import depthwise_convolution, runs_in_blocks
from nysformer.ops.blocks import BLOCK_ROWS, KeySummary, band, convolve, read_landmarks

TOLERANCE = {torch.float32: 1e-5, torch.bfloat16: 2e-2}
dtypes = st.sampled_from(list(TOLERANCE))


def close(ours: torch.Tensor, theirs: torch.Tensor, dtype: torch.dtype) -> None:
    bound = TOLERANCE[dtype] * max(1.0, theirs.abs().max().item())
    torch.testing.assert_close(ours.float(), theirs.float(), atol=bound, rtol=0)


@given(cuts=st.lists(st.integers(1, 90), min_size=1, max_size=5), size=st.sampled_from([0.1, 1.0, 8.0]), dtype=dtypes)
@torch.no_grad()
def test_keys_in_any_blocks_are_keys_at_once(cuts: list[int], size: float, dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    keys, values = (torch.randn(2, sum(cuts), 3, 8).transpose(1, 2).to(dtype) for _ in range(2))
    queries = (size * torch.randn(2, 3, 5, 8)).to(dtype)
    summary = KeySummary(queries, 0.25)
    for key, value in zip(keys.split(cuts, dim=2), values.split(cuts, dim=2), strict=True):
        summary.add(key, value)
    theirs = F.scaled_dot_product_attention(queries.float(), keys.float(), values.float(), scale=0.25)
    assert summary.result().dtype == torch.float32
    close(summary.result(), theirs, dtype)


@torch.no_grad()
def test_scores_far_apart_from_block_to_block() -> None:
    """Nothing overflows, whichever block holds the largest score."""
    keys = torch.tensor([-300.0, 0.0, 300.0, 299.0]).reshape(1, 1, 4, 1)
    values = torch.tensor([1.0, 2.0, 3.0, 4.0]).reshape(1, 1, 4, 1)
    for order in ([0, 1, 2, 3], [2, 3, 1, 0]):
        summary = KeySummary(torch.ones(1, 1, 1, 1), 1.0)
        for place in order:
            summary.add(keys[:, :, place : place + 1], values[:, :, place : place + 1])
        expected = F.scaled_dot_product_attention(torch.ones(1, 1, 1, 1), keys, values, scale=1.0)
        torch.testing.assert_close(summary.result(), expected)


@given(rows=st.integers(1, 70), dtype=dtypes)
@torch.no_grad()
def test_reading_is_softmax_attention(rows: int, dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    query, keys, values = (torch.randn(2, n, 3, 8).transpose(1, 2).to(dtype) for n in (rows, 5, 5))
    theirs = F.scaled_dot_product_attention(query.float(), keys.float(), values.float(), scale=0.25)
    close(read_landmarks(query, keys, values, 0.25), theirs, dtype)


def test_a_band_is_the_convolution_written_out() -> None:
    kernels = torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]).reshape(2, 1, 3, 1)
    banded = band(kernels)
    rows = banded.shape[1]
    assert banded.shape == (2, rows, rows + 2)
    for head in range(2):
        for row in range(rows):
            expected = torch.zeros(rows + 2)
            expected[row : row + 3] = kernels[head, 0, :, 0]
            assert torch.equal(banded[head, row], expected)


@given(length=st.integers(1, 300), kernel=st.sampled_from([1, 3, 35, 65]), dtype=dtypes)
def test_convolution_by_products_is_torch_s(length: int, kernel: int, dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    value = torch.randn(2, length, 3, 4).transpose(1, 2).to(dtype)
    weight = torch.randn(3, 1, kernel, 1).to(dtype)
    theirs = depthwise_convolution(value.float(), weight.float())
    with torch.no_grad():
        close(convolve(value, weight), theirs, dtype)
        assert torch.equal(depthwise_convolution(value, weight), convolve(value, weight))


@pytest.mark.parametrize("length", [BLOCK_ROWS - 1, BLOCK_ROWS, BLOCK_ROWS + 1, 2 * BLOCK_ROWS + 70])
def test_convolution_over_blocks(length: int) -> None:
    value, weight = torch.randn(1, 2, length, 4), torch.randn(2, 1, 65, 1)
    theirs = depthwise_convolution(value.requires_grad_(), weight)
    with torch.no_grad():
        torch.testing.assert_close(convolve(value, weight), theirs.detach(), atol=1e-4, rtol=1e-4)


def test_when_it_runs() -> None:
    x = torch.zeros(2, 2)
    assert not runs_in_blocks(x)
    with torch.no_grad():
        assert runs_in_blocks(x)
        assert runs_in_blocks(x.bfloat16())
        assert not runs_in_blocks(x.double())
        assert not runs_in_blocks(x.half())
        assert not runs_in_blocks(x.to("meta"))
        with torch.autocast("cpu", torch.bfloat16):
            assert not runs_in_blocks(x)
