"""The depthwise convolution against the reference."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from nysformer.ops import depthwise_convolution, reference


@given(
    n=st.integers(1, 300), k=st.sampled_from([1, 3, 35, 65]), heads=st.integers(1, 4), width=st.sampled_from([1, 4, 5])
)
def test_equals_the_reference(n: int, k: int, heads: int, width: int) -> None:
    value = torch.randn(2, heads, n, width, dtype=torch.float64)
    weight = torch.randn(heads, 1, k, 1, dtype=torch.float64)
    output = depthwise_convolution(value, weight)
    for b in range(2):
        for h in range(heads):
            expected = reference.convolution(value[b, h], weight[h, 0, :, 0])
            torch.testing.assert_close(output[b, h], expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("k", [1, 39, 41, 65, 99])
@pytest.mark.parametrize("n", [20, 100, 300])
def test_gradients_at_every_kernel_size(n: int, k: int, dtype: torch.dtype) -> None:
    value, seed = torch.randn(2, n, 2, 4, dtype=dtype).transpose(1, 2), torch.randn(2, 2, n, 4, dtype=dtype)
    weight = torch.randn(2, 1, k, 1, dtype=dtype)
    leaves = value.requires_grad_(), weight.requires_grad_()
    gradients = torch.autograd.grad(depthwise_convolution(*leaves), leaves, seed)
    output = torch.stack(
        [
            torch.stack([reference.convolution(value[b, h].double(), weight[h, 0, :, 0].double()) for h in range(2)])
            for b in range(2)
        ]
    )
    for gradient, truth in zip(gradients, torch.autograd.grad(output, leaves, seed.double()), strict=True):
        assert (gradient - truth).abs().max() <= (1e-5 if dtype == torch.float32 else 1e-9) * truth.abs().max()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("k", [1, 9, 65])
def test_half_precision_rounds_results_only(k: int, dtype: torch.dtype) -> None:
    """Sums are kept in float32. Channels of a head share its kernel, and each may round its part of the gradient."""
    torch.manual_seed(k)
    leaves = [torch.randn(2, 3, 200, 8).to(dtype), torch.randn(3, 1, k, 1).to(dtype)]
    seed = torch.randn(2, 3, 200, 8).to(dtype)
    value, weight = (x.clone().requires_grad_() for x in leaves)
    output = depthwise_convolution(value, weight)
    assert output.dtype == dtype
    ours = (output, *torch.autograd.grad(output, (value, weight), seed))
    value, weight = (x.double().requires_grad_() for x in leaves)
    channels = weight.expand(3, 8, k, 1).reshape(24, 1, k, 1)
    output = F.conv2d(value.transpose(2, 3).reshape(2, 24, 200, 1), channels, padding=(k // 2, 0), groups=24)
    output = output.view(2, 3, 8, 200).transpose(2, 3)
    value_gradient, shares = torch.autograd.grad(output, (value, channels), seed.double())
    shares = shares.view(3, 8, k).transpose(1, 2)
    truths = (output, value_gradient, shares.sum(dim=2)[:, None, :, None])
    unit = torch.finfo(dtype).eps / 2
    roundings = [unit * truth.abs() for truth in truths]
    roundings[2] = roundings[2] + unit * shares.abs().sum(dim=2)[:, None, :, None]
    for error, rounding, truth in zip(ours, roundings, truths, strict=True):
        assert ((error - truth).abs() <= 1.001 * rounding + 1e-6 * truth.abs().max()).all()


def test_any_strides() -> None:
    value = torch.randn(2, 30, 3, 4, dtype=torch.float64).transpose(1, 2)
    weight = torch.randn(3, 1, 5, 1, dtype=torch.float64)
    torch.testing.assert_close(depthwise_convolution(value, weight), depthwise_convolution(value.contiguous(), weight))


@pytest.mark.parametrize("k", [1, 3, 9])
def test_gradients(k: int) -> None:
    value = torch.randn(2, 2, 5, 3, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(2, 1, k, 1, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(depthwise_convolution, (value, weight))
    transposed = torch.randn(2, 5, 2, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda v, w: depthwise_convolution(v.transpose(1, 2), w), (transposed, weight))


@pytest.mark.parametrize("shape", [(2, 1, 4, 1), (3, 1, 3, 1), (2, 2, 3, 1), (2, 1, 3, 3)])
def test_kernels_that_do_not_fit(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"conv_weight is \(heads, 1, k, 1\) with 2 heads and k odd"):
        depthwise_convolution(torch.randn(1, 2, 5, 3), torch.randn(shape))
