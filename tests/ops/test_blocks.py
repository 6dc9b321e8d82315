"""The forms for inference on a CPU against the plain ones."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from nysformer.ops import depthwise_convolution, runs_in_blocks
from nysformer.ops.blocks import BLOCK_ROWS, band, convolve

TOLERANCE = {torch.float32: 1e-5, torch.bfloat16: 2e-2}
dtypes = st.sampled_from(list(TOLERANCE))


def close(ours: torch.Tensor, theirs: torch.Tensor, dtype: torch.dtype) -> None:
    bound = TOLERANCE[dtype] * max(1.0, theirs.abs().max().item())
    torch.testing.assert_close(ours.float(), theirs.float(), atol=bound, rtol=0)


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
