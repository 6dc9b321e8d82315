"""Plain products give the fused kernel's numbers, and the derivatives it lacks."""

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

from nysformer.ops import nystrom_attention, reference, softmax_attention
from nysformer.ops.scaled_dot_product import scaled_dot_product


def operands(*shape: int, dtype: torch.dtype = torch.float64) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(*shape, generator=generator, dtype=dtype) for _ in range(3)]


@pytest.mark.parametrize("scale", [None, 0.3])
@pytest.mark.parametrize("masked", [False, True])
def test_both_forms_agree(scale: float | None, masked: bool) -> None:
    q, k, v = operands(2, 3, 7, 4)
    mask = torch.arange(7).lt(torch.tensor([5, 7])[:, None])[:, None, None] if masked else None
    plain, fused = (
        scaled_dot_product(q, k, v, implementation=name, mask=mask, scale=scale) for name in ("eager", "sdpa")
    )
    torch.testing.assert_close(plain, fused, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_no_worse_than_torch_s_plain_form(dtype: torch.dtype) -> None:
    exact = [3 * x for x in operands(2, 3, 60, 16)]
    truth = scaled_dot_product(*exact, implementation="eager")
    half = [x.to(dtype) for x in exact]
    ours = scaled_dot_product(*half, implementation="eager")
    with sdpa_kernel(SDPBackend.MATH):
        theirs = torch.nn.functional.scaled_dot_product_attention(*half)
    errors = [float((x.double() - truth).abs().mean()) for x in (ours, theirs)]
    assert ours.dtype == dtype
    assert errors[0] <= 2 * errors[1]


@pytest.mark.parametrize("num_landmarks", [None, 3])
def test_eager_attention_is_the_reference_and_differentiates_twice(num_landmarks: int | None) -> None:
    q, k, v = (x.requires_grad_() for x in operands(6, 2, 2))
    kernels = torch.randn(2, 1, 3, 1, dtype=torch.float64)

    def attend(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        options = {"offsets": [0, 4, 4, 6], "conv_weight": kernels, "implementation": "eager"}
        if num_landmarks is None:
            return softmax_attention(q, k, v, **options)
        return nystrom_attention(q, k, v, num_landmarks=num_landmarks, **options)

    expected = [
        reference.attention(q[part], k[part], v[part], num_landmarks=num_landmarks, conv_weight=kernels)
        for part in (slice(0, 4), slice(4, 6))
    ]
    torch.testing.assert_close(attend(q, k, v), torch.cat(expected), rtol=1e-9, atol=1e-9)
    assert torch.autograd.gradcheck(attend, (q, k, v), check_forward_ad=True, fast_mode=True)
    assert torch.autograd.gradgradcheck(attend, (q, k, v), fast_mode=True)


def test_another_name_is_refused() -> None:
    q, k, v = operands(1, 1, 3, 2)
    for attend in (softmax_attention, lambda *x, **options: nystrom_attention(*x, num_landmarks=2, **options)):
        with pytest.raises(ValueError, match="implementation is 'flash': choose 'sdpa' or 'eager'"):
            attend(q, k, v, implementation="flash")


@pytest.mark.parametrize("num_landmarks", [None, 2])
def test_no_token_gives_zeros_and_gradients_of_zero(num_landmarks: int | None) -> None:
    kernels = torch.full((2, 1, 3, 1), float("nan"), requires_grad=True)
    for queries, keys in ((0, 0), (3, 0), (0, 3)):
        q, k, v = (torch.full((n, 2, 4), float("nan"), requires_grad=True) for n in (queries, keys, keys))
        options = {"offsets": [0, queries], "key_offsets": [0, keys]}
        if queries == keys:
            options["conv_weight"] = kernels
        attend = softmax_attention
        if num_landmarks is not None:
            attend, options["num_landmarks"] = nystrom_attention, num_landmarks
        output = attend(q, k, v, **options)
        assert output.shape == (queries, 2, 4)
        assert not output.any()
        output.sum().backward()
        for each in (q, k, v, *([kernels] if queries == keys else [])):
            assert each.grad is not None
            assert not each.grad.any()
