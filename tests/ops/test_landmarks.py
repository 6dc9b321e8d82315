"""Segment means: every length, holes, poison, dtypes."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from nysformer.ops import reference, segment_means


@given(n=st.integers(1, 700), m=st.integers(1, 64), seed=st.integers(0, 99))
def test_equals_the_formula_at_every_length(n: int, m: int, seed: int) -> None:
    x = torch.randn(2, 3, n, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    means = segment_means(x, m)
    for b, h in ((0, 0), (1, 2)):
        # The mean of no token is 0, where the formula has none.
        expected = reference.segment_means(x[b, h], m).nan_to_num(0.0)
        torch.testing.assert_close(means[b, h], expected, rtol=1e-12, atol=1e-12)


@given(n=st.integers(1, 200), m=st.integers(1, 64), keep=st.sampled_from([0.0, 0.1, 0.5, 0.9]), seed=st.integers(0, 99))
def test_masked_tokens_do_not_exist(n: int, m: int, keep: float, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(3, 2, n, 4, dtype=torch.float64, generator=generator)
    mask = torch.rand(3, n, generator=generator) < keep
    mask[0] = True
    poisoned = x.masked_fill(~mask[:, None, :, None], float("nan")).requires_grad_()
    means = segment_means(poisoned, m, mask)
    for b in range(3):
        expected = segment_means(x[b : b + 1, :, mask[b]], m)
        torch.testing.assert_close(means[b : b + 1], expected, rtol=1e-12, atol=1e-12)
    (gradient,) = torch.autograd.grad(means.sum(), poisoned)
    assert gradient.isfinite().all()
    assert not gradient.transpose(1, 2)[~mask].any()


@pytest.mark.parametrize("masked", [False, True])
def test_fewer_tokens_than_landmarks_leave_empty_segments_zero(masked: bool) -> None:
    x = torch.arange(1.0, 4.0).view(1, 1, 3, 1)
    mask = torch.ones(1, 3, dtype=torch.bool) if masked else None
    means = segment_means(x, 5, mask).flatten()
    # floor(5 (r + 1) / ...): tokens 0, 1, 2 stand alone in segments 1, 3, 4.
    assert means.tolist() == [0.0, 1.0, 0.0, 2.0, 3.0]


@pytest.mark.parametrize("n", [64, 100])
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_rounds_once(n: int, masked: bool, dtype: torch.dtype) -> None:
    x = torch.randn(2, 3, n, 4).to(dtype)
    mask = torch.ones(2, n) if masked else None
    means = segment_means(x, 8, mask)
    assert means.dtype == dtype
    exact = segment_means(x.double(), 8)
    # Sums are kept in float32, so only the final rounding is left, to half a unit in the last place.
    assert ((means.double() - exact).abs() <= 0.5001 * torch.finfo(dtype).eps * exact.abs() + 1e-6).all()


def test_half_precision_sums_do_not_overflow() -> None:
    x = torch.full((1, 1, 5000, 1), 60000.0, dtype=torch.float16)
    assert segment_means(x, 2).tolist() == [[[[60000.0], [60000.0]]]] or segment_means(x, 2).isfinite().all()
    assert segment_means(x[:, :, :4999], 2, torch.ones(1, 4999)).isfinite().all()


@pytest.mark.parametrize("mask_dtype", [torch.bool, torch.int64, torch.uint8, torch.float32])
def test_a_mask_of_any_dtype(mask_dtype: torch.dtype) -> None:
    x = torch.randn(1, 1, 6, 2)
    mask = torch.tensor([[1, 0, 1, 1, 0, 1]]).to(mask_dtype)
    torch.testing.assert_close(segment_means(x, 2, mask), segment_means(x[:, :, [0, 2, 3, 5]], 2))


def test_gradients() -> None:
    x = torch.randn(1, 2, 11, 3, dtype=torch.float64, requires_grad=True)
    mask = torch.tensor([[1, 1, 0, 1, 1, 1, 0, 1, 1, 1, 1]])
    assert torch.autograd.gradcheck(lambda y: segment_means(y, 4), x)
    assert torch.autograd.gradcheck(lambda y: segment_means(y, 4, mask), x)
