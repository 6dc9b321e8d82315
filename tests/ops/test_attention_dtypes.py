"""Half precision: finite, and nearer to the float64 reference than the formula written out in that dtype.

Shapes: B documents, H heads, N tokens, D head width, M landmarks.
"""

import pytest
import torch
from torch import Tensor

from nysformer.ops import LandmarkKind, nystrom_attention, reference, segment_means, softmax_attention

HALVES = [torch.bfloat16, torch.float16]
KINDS = [(None, "segments"), (8, "segments"), (8, "clusters")]


def clustered(x: Tensor, centres: Tensor) -> Tensor:
    """Two Lloyd steps in the dtype of the input: (H, N, D) and (H, M, D) to (H, M, D)."""
    for _ in range(2):
        nearest = (x[:, :, None] - centres[:, None]).square().sum(dim=-1).argmin(dim=-1)
        chosen = torch.nn.functional.one_hot(nearest, centres.shape[1]).to(x.dtype).transpose(1, 2)
        counts = chosen.sum(dim=-1, keepdim=True)
        centres = torch.where(counts > 0, chosen @ x / counts.clamp(min=1), centres)
    return centres


def plain(query: Tensor, key: Tensor, value: Tensor, m: int | None, kind: LandmarkKind) -> Tensor:
    """The three-softmax form of the formula, all in the dtype of its input: (H, N, D) thrice to (H, N, D)."""
    scale = query.shape[-1] ** -0.5

    def kernel(left: Tensor, right: Tensor) -> Tensor:
        return (scale * left @ right.transpose(-1, -2)).softmax(dim=-1)

    if m is None or query.shape[1] <= m:
        return kernel(query, key) @ value
    query_landmarks, key_landmarks = (segment_means(x[None], m)[0] for x in (query, key))
    if kind == "clusters":
        query_landmarks, key_landmarks = clustered(query, query_landmarks), clustered(key, key_landmarks)
    first, second, third = (
        kernel(query, key_landmarks),
        kernel(query_landmarks, key_landmarks),
        kernel(query_landmarks, key),
    )
    identity = torch.eye(m, dtype=query.dtype)
    z = second.transpose(-1, -2) / second.sum(dim=-2).max()
    for _ in range(6):
        az = second @ z
        z = z @ (13 * identity - az @ (15 * identity - az @ (7 * identity - az))) / 4
    return first @ (z @ (third @ value))


def fast(query: Tensor, key: Tensor, value: Tensor, m: int | None, kind: LandmarkKind) -> Tensor:
    document = (x[None] for x in (query, key, value))
    if m is None:
        return softmax_attention(*document)[0]
    return nystrom_attention(*document, num_landmarks=m, landmarks=kind)[0]


def true(query: Tensor, key: Tensor, value: Tensor, m: int | None, kind: LandmarkKind) -> Tensor:
    rows = (x.transpose(0, 1) for x in (query, key, value))
    return reference.attention(*rows, num_landmarks=m, landmarks=kind).transpose(0, 1)


@pytest.mark.parametrize("dtype", HALVES)
@pytest.mark.parametrize(
    ("n", "m", "kind"),
    [
        *((n, m, "segments") for n, m in ((300, None), (40, 64), (300, 8), (300, 64), (700, 32))),
        *((n, m, "clusters") for n, m in ((300, 8), (300, 64), (700, 32))),
    ],
)
@pytest.mark.parametrize("size", [1.0, 3.0])
def test_no_further_from_the_truth_than_the_plain_form(
    n: int, m: int | None, kind: LandmarkKind, dtype: torch.dtype, size: float
) -> None:
    """Root mean square over the output, and over each gradient: what rounding costs on the whole, not its luckiest
    entry."""
    torch.manual_seed(n)
    # Both forms start from the same rounded numbers.
    inputs = [(size * torch.randn(4, n, 32)).to(dtype) for _ in range(3)]
    seed = torch.randn(4, n, 32).to(dtype)
    results = []
    for form, precision in ((true, torch.float64), (fast, dtype), (plain, dtype)):
        leaves = [x.detach().to(precision).requires_grad_() for x in inputs]
        output = form(*leaves, m, kind)
        results.append((output, *torch.autograd.grad(output, leaves, seed.to(precision))))
    for name, truth, ours, theirs in zip(("output", "query", "key", "value"), *results, strict=True):
        assert ours.isfinite().all()
        assert ours.dtype == dtype
        error, allowed = ((x.double() - truth).square().mean().sqrt() for x in (ours, theirs))
        assert not error > allowed, f"{name}: {error:.2e} against {allowed:.2e}"


@pytest.mark.parametrize("dtype", HALVES)
@pytest.mark.parametrize(("m", "kind"), KINDS)
def test_masks_in_half_precision(dtype: torch.dtype, m: int | None, kind: LandmarkKind) -> None:
    torch.manual_seed(0)
    query, key, value = torch.randn(3, 2, 3, 100, 16).to(dtype).unbind(0)
    mask = torch.rand(2, 100) < 0.7
    mask[1] = False
    conv = torch.randn(3, 1, 65, 1).to(dtype)
    poisoned = [x.masked_fill(~mask[:, None, :, None], float("nan")).requires_grad_() for x in (query, key, value)]
    options = {} if m is None else {"num_landmarks": m, "landmarks": kind}
    attend = softmax_attention if m is None else nystrom_attention
    output = attend(*poisoned, mask=mask, conv_weight=conv, **options)  # type: ignore[operator]
    alone = attend(*(x[:1, :, mask[0]] for x in (query, key, value)), conv_weight=conv, **options)  # type: ignore[operator]
    tolerance = 4 * torch.finfo(dtype).eps
    torch.testing.assert_close(output[:1, :, mask[0]], alone, rtol=tolerance, atol=tolerance)
    assert not output[1].any()
    for gradient in torch.autograd.grad(output.sum(), poisoned):
        assert gradient.isfinite().all()


@pytest.mark.parametrize(("m", "kind"), KINDS)
def test_under_autocast_the_inverse_stays_in_float32(m: int | None, kind: LandmarkKind) -> None:
    torch.manual_seed(0)
    query, key, value = torch.randn(3, 4, 100, 16).unbind(0)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        ours = fast(query, key, value, m, kind)
        theirs = plain(query, key, value, m, kind)
    truth = true(query, key, value, m, kind)
    assert (ours - truth).square().mean() <= (theirs - truth).square().mean()
