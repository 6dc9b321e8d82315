"""`NystromAttention`: the package's numbers with `compat`, the formula's without.

Shapes: B batch, N padded length, C channels, H heads, D head width, M landmarks.
"""

import inspect
from typing import Any

import nystrom_attention
import pytest
import torch
from torch import Tensor

from nysformer import NysformerError, NystromAttention
from nysformer.layers import MAX_MAP_BYTES
from nysformer.ops import reference

SIZE: dict[str, Any] = {"dim": 24, "dim_head": 8, "heads": 3, "num_landmarks": 8, "residual_conv_kernel": 5}
NAN = float("nan")


def pair(**settings: Any) -> tuple[Any, NystromAttention]:
    """Theirs and ours in compat mode, with the same weights."""
    torch.manual_seed(0)
    theirs = nystrom_attention.NystromAttention(**{**SIZE, **settings}).eval()
    ours = NystromAttention(**{**SIZE, **settings}, compat=True).eval()
    ours.load_state_dict(theirs.state_dict())
    return theirs, ours


def right(dtype: torch.dtype = torch.float64, **settings: Any) -> NystromAttention:
    torch.manual_seed(0)
    return NystromAttention(**{**SIZE, **settings}).eval().to(dtype)


def draw(batch: int, length: int, dtype: torch.dtype = torch.float32, scale: float = 2.0) -> Tensor:
    generator = torch.Generator().manual_seed(length)
    return scale * torch.randn(batch, length, SIZE["dim"], generator=generator).to(dtype)


def holes(length: int) -> Tensor:
    """A document with holes, an empty one, and a short one: (3, N)."""
    mask = torch.rand(3, length, generator=torch.Generator().manual_seed(length)) < 0.7
    mask[1] = False
    mask[2] = torch.arange(length) < max(1, length // 3)
    return mask


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("length", [1, 5, 8, 37, 64, 203])
def test_compat_has_the_packages_numbers(length: int, masked: bool) -> None:
    theirs, ours = pair()
    mask = holes(length) if masked else None
    a, b = (draw(3, length).requires_grad_() for _ in range(2))
    expected, output = theirs(a, mask), ours(b, mask)
    torch.testing.assert_close(output, expected, rtol=1e-5, atol=1e-5)
    weights = torch.randn_like(expected)
    (expected * weights).sum().backward()
    (output * weights).sum().backward()
    parameters = zip(theirs.parameters(), ours.parameters(), strict=True)
    for left, right_ in ((a, b), *parameters):
        scale = float(left.grad.abs().max())
        torch.testing.assert_close(right_.grad, left.grad, rtol=0, atol=1e-5 * max(scale, 1.0))


@pytest.mark.parametrize("masked", [False, True])
def test_compat_has_the_packages_maps(masked: bool) -> None:
    theirs, ours = pair()
    x, mask = draw(3, 37), holes(37) if masked else None
    expected = theirs(x, mask, return_attn=True)[1]
    torch.testing.assert_close(ours(x, mask, return_attn=True)[1], expected, rtol=1e-5, atol=1e-5)
    factors = zip(
        ours(x, mask, return_attn_matrices=True)[1], theirs(x, mask, return_attn_matrices=True)[1], strict=True
    )
    for mine, other in factors:
        torch.testing.assert_close(mine, other, rtol=1e-5, atol=1e-5)
    rows = ours.attention_rows(x, [0, 20], mask)
    torch.testing.assert_close(rows, expected[:, :, [3, 23], 3:], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("settings", [{}, {"residual": False}, {"dropout": 0.1, "pinv_iterations": 4, "eps": 1e-3}])
def test_state_dicts_and_settings_both_ways(settings: dict[str, Any]) -> None:
    theirs, ours = pair(**settings)
    x, mask = draw(2, 29), holes(29)[:2]
    torch.testing.assert_close(ours(x, mask), theirs(x, mask), rtol=1e-5, atol=1e-5)
    torch.nn.init.normal_(ours.to_qkv.weight)
    theirs.load_state_dict(ours.state_dict())
    torch.testing.assert_close(ours(x, mask), theirs(x, mask), rtol=1e-5, atol=1e-5)
    assert list(ours.state_dict()) == list(theirs.state_dict())


def test_same_signature() -> None:
    for name in ("__init__", "forward"):
        theirs, ours = (
            inspect.signature(getattr(kind, name)).parameters
            for kind in (nystrom_attention.NystromAttention, NystromAttention)
        )
        positional = [p for p in ours.values() if p.kind is not p.KEYWORD_ONLY]
        assert [(p.name, p.default) for p in positional] == [(p.name, p.default) for p in theirs.values()]


def expected_outputs(module: NystromAttention, x: Tensor, mask: Tensor) -> Tensor:
    """By the reference, a document at a time."""
    output = torch.zeros_like(x)
    assert module.res_conv is not None
    for document, real in enumerate(mask):
        if real.any():
            query, key, value = module.to_qkv(x[document, real]).unflatten(-1, (3, module.heads, -1)).unbind(1)
            context = reference.attention(
                query,
                key,
                value,
                num_landmarks=module.num_landmarks,
                landmarks=module.spec.landmarks,
                conv_weight=module.res_conv.weight,
            )
            output[document, real] = module.to_out(context.flatten(1))
    return output


@pytest.mark.parametrize("landmarks", ["segments", "clusters"])
@pytest.mark.parametrize("length", [1, 7, 8, 9, 63, 200])
def test_the_formula_at_any_length_with_poison_under_the_mask(length: int, landmarks: str) -> None:
    module = right(landmarks=landmarks)
    x, mask = draw(3, length, torch.float64), holes(length)
    poisoned = x.masked_fill(~mask[..., None], NAN).requires_grad_()
    output = module(poisoned, mask)
    torch.testing.assert_close(output, expected_outputs(module, x, mask), rtol=1e-9, atol=1e-9)
    assert not output[~mask].any()
    output.square().sum().backward()
    gradients = [poisoned.grad, *(parameter.grad for parameter in module.parameters())]
    assert all(gradient is not None and gradient.isfinite().all() for gradient in gradients)
    torch.testing.assert_close(module(x), module(x, torch.ones(3, length)), rtol=1e-9, atol=1e-9)


def test_padding_and_batch_mates_change_nothing() -> None:
    module = right()
    alone = draw(1, 50, torch.float64)
    loud = torch.cat([torch.nn.functional.pad(alone, (0, 0, 0, 30)), 50 * draw(1, 80, torch.float64)])
    mask = torch.arange(80) < torch.tensor([[50], [80]])
    torch.testing.assert_close(module(loud, mask)[:1, :50], module(alone), rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(
        module.attention_rows(loud, [0], mask)[:1, ..., :50], module.attention_rows(alone), rtol=1e-9, atol=1e-9
    )


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("compat", [False, True])
def test_half_precision(dtype: torch.dtype, compat: bool) -> None:
    module = right(dtype, compat=compat)
    x, mask = draw(3, 61, dtype, scale=1.0), holes(61)
    output = module(x, mask)
    output.float().square().sum().backward()
    assert output.dtype == dtype
    assert all(p.grad is not None and p.grad.isfinite().all() for p in module.parameters())
    module, truth = module.double(), output.double()
    torch.testing.assert_close(module(x.double(), mask), truth, rtol=0, atol=16 * torch.finfo(dtype).eps)


@pytest.mark.parametrize("landmarks", ["segments", "clusters"])
@pytest.mark.parametrize("length", [6, 45])
def test_maps_and_rows(length: int, landmarks: str) -> None:
    module = right(residual=False, landmarks=landmarks)
    x, mask = draw(3, length, torch.float64), holes(length)
    output, full = module(x, mask, return_attn=True)
    assert not full.masked_fill((mask[:, :, None] & mask[:, None, :])[:, None], 0.0).any()
    value = module.to_qkv(x).unflatten(-1, (3, module.heads, -1)).unbind(2)[2].transpose(1, 2)
    context = (full @ value).transpose(1, 2).flatten(-2)
    torch.testing.assert_close(module.to_out(context)[mask], output[mask], rtol=1e-9, atol=1e-9)
    rows = [length - 1, 0, 2]
    torch.testing.assert_close(module.attention_rows(x, rows, mask), full[:, :, rows], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("landmarks", ["segments", "clusters"])
def test_factors(landmarks: str) -> None:
    module = right(landmarks=landmarks)
    x, mask = draw(2, 45, torch.float64), holes(45)[:2]
    full = module(x, mask, return_attn=True)[1]
    first, inverse, third = module(x, mask, return_attn_matrices=True)[1]
    assert first.shape == (2, 3, 45, 8)
    torch.testing.assert_close(first @ inverse @ third, full, rtol=1e-9, atol=1e-9)
    with pytest.raises(NysformerError, match=r"8 tokens .* return_attn"):
        module(x[:, :8], return_attn_matrices=True)


def test_a_row_of_a_large_bag_needs_no_square() -> None:
    module = right(torch.float32, num_landmarks=16)
    bag = draw(1, 50_000)
    rows = module.attention_rows(bag, rows=[0])
    assert rows.shape == (1, 3, 1, 50_000)
    torch.testing.assert_close(rows.sum(-1), torch.ones(1, 3, 1), rtol=0, atol=0.2)
    for compat in (False, True):
        module.compat = compat
        with pytest.raises(NysformerError, match="attention_rows"):
            module(bag, return_attn=True)
    assert MAX_MAP_BYTES < 3 * 50_000**2 * 4


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"num_landmarks": 0}, "num_landmarks is 0"),
        ({"residual_conv_kernel": 4}, "residual_conv_kernel is 4"),
        ({"pinv_iterations": 40}, "pinv_iterations is 40"),
        ({"landmarks": "means"}, "landmarks is 'means'"),
        ({"landmark_steps": 0}, "landmark_steps is 0"),
        ({"landmarks": "clusters", "compat": True}, "with compat"),
    ],
)
def test_settings_that_cannot_work(settings: dict[str, Any], says: str) -> None:
    with pytest.raises(NysformerError, match=says):
        NystromAttention(**{**SIZE, **settings})


def test_inputs_that_do_not_fit() -> None:
    module, x = right(torch.float32), draw(2, 9)
    with pytest.raises(NysformerError, match=r"x has shape \(2, 9, 20\)"):
        module(x[..., :20])
    with pytest.raises(NysformerError, match=r"mask has shape \(2, 8\)"):
        module(x, torch.ones(2, 8))
    with pytest.raises(NysformerError, match="rows holds 9"):
        module.attention_rows(x, [0, 9])
