"""Rows of a padded batch, and their way back, packed and in the whole-batch form of recorded programs."""

import pytest
import torch
from torch import Tensor

from nysformer import NysformerError
from nysformer.models.packing import Packing


@pytest.fixture
def mask() -> Tensor:
    """Out of order by length, with holes, one document that starts late, and one without a token."""
    mask = torch.rand(5, 12, generator=torch.Generator().manual_seed(0)) < 0.6
    mask[0, :3], mask[2], mask[3] = False, False, True
    return mask


def recorded(mask: Tensor) -> Packing:
    return Packing((mask.shape[0], mask.shape[1]), mask, None)


def test_only_real_tokens_have_rows(mask: Tensor) -> None:
    x = torch.randn(5, 12, 4)
    packing = Packing.read(mask.float(), (5, 12))
    rows = packing.pack(x)
    assert rows.shape == (int(mask.sum()), 4)
    for fill in (0.0, 7.0):
        assert torch.equal(packing.unpack(rows, fill), x.masked_fill(~mask[..., None], fill))


def test_recorded_programs_keep_the_whole_batch(mask: Tensor) -> None:
    x, packing = torch.randn(5, 12, 4), recorded(mask)
    assert packing.pack(x) is x
    for fill in (0.0, 7.0):
        expected = x.masked_fill(~mask[..., None], fill)
        assert torch.equal(packing.pack(x, fill), expected)
        assert torch.equal(packing.unpack(x, fill), expected)
    assert torch.equal(packing.pack(x[..., 0], -1.0), x[..., 0].masked_fill(~mask, -1.0))


def test_the_first_row_of_each_document(mask: Tensor) -> None:
    x = torch.randn(5, 12, 4).masked_fill(~mask[..., None], 0.0).requires_grad_()
    expected = torch.stack([document[real][0] if real.any() else document[0] for document, real in zip(x, mask)])  # noqa: B905
    assert not expected[2].any()
    cotangent = torch.randn(5, 4)
    (truth,) = torch.autograd.grad(expected, x, cotangent)
    truth[2] = 0.0
    for packing in (Packing.read(mask, (5, 12)), recorded(mask)):
        first = packing.first_rows(packing.pack(x))
        assert torch.equal(first, expected)
        (gradient,) = torch.autograd.grad(first, x, cotangent)
        assert torch.equal(gradient[mask], truth[mask])


def test_without_a_masked_place() -> None:
    x = torch.randn(3, 6, 4)
    for mask in (None, torch.ones(3, 6)):
        packing = Packing.read(mask, (3, 6))
        assert packing.mask is None
        assert packing.unpack(packing.pack(x)).data_ptr() == x.data_ptr(), "a view both ways"
        assert torch.equal(packing.first_rows(packing.pack(x)), x[:, 0])
        assert torch.equal(packing.masked(x, 7.0), x)


def test_masks_that_are_none() -> None:
    with pytest.raises(NysformerError, match=r"attention_mask has shape \(3, 5\): pass \(batch, tokens\) = \(3, 6\)"):
        Packing.read(torch.ones(3, 5), (3, 6))
    with pytest.raises(NysformerError, match="values other than 0 and 1"):
        Packing.read(torch.full((3, 6), -1e9), (3, 6))
