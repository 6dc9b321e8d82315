"""Packing and its way back."""

from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from nysformer.ops import Layout, softmax_attention
from nysformer.ops.layout import as_layout


@given(
    batch=st.integers(1, 6),
    length=st.integers(1, 20),
    keep=st.sampled_from([0.0, 0.3, 0.9, 1.0]),
    seed=st.integers(0, 99),
)
def test_round_trips(batch: int, length: int, keep: float, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    mask = torch.rand(batch, length, generator=generator) < keep
    layout = Layout.from_mask(mask)
    x = torch.randn(batch, length, 2, generator=generator)
    packed = layout.pack(x)
    assert packed.shape == (int(mask.sum()), 2) == (layout.num_tokens, 2)
    assert sorted(layout.lengths) == sorted(mask.sum(dim=1).tolist())
    assert torch.equal(layout.unpack(packed), x.masked_fill(~mask[..., None], 0.0))
    assert torch.equal(layout.unpack(packed, fill=7.0), x.masked_fill(~mask[..., None], 7.0))
    assert torch.equal(layout.pack(layout.unpack(packed)), packed)


@given(
    batch=st.integers(1, 6),
    length=st.integers(1, 20),
    keep=st.sampled_from([0.0, 0.3, 0.9, 1.0]),
    seed=st.integers(0, 99),
)
def test_documents_stay_whole_and_in_order(batch: int, length: int, keep: float, seed: int) -> None:
    mask = torch.rand(batch, length, generator=torch.Generator().manual_seed(seed)) < keep
    layout = Layout.from_mask(mask)
    flat = layout.pack(torch.arange(batch * length).view(batch, length))
    device = torch.device("cpu")
    assert torch.equal(layout.padded_positions(device), flat % length)
    places = layout.places(device)
    assert len(places) == batch
    for start, end, (row, columns) in zip(layout.offsets[:-1], layout.offsets[1:], places, strict=True):
        assert torch.equal(columns, flat[start:end] % length)
        if start < end:
            assert torch.equal(columns, mask[row].nonzero()[:, 0])
            assert (flat[start:end] // length == row).all()
    assert sorted(layout.lengths) == list(layout.lengths), "equal lengths are neighbours"


def test_unpacking_is_differentiable_and_transforms() -> None:
    layout = Layout.from_mask(torch.tensor([[1, 1, 0], [1, 1, 1]]))
    x = torch.randn(4, 5, 2, dtype=torch.float64)
    for ours, own in zip(torch.func.vmap(layout.unpack)(x), x, strict=True):
        assert torch.equal(ours, layout.unpack(own))
    torch.autograd.gradcheck(layout.unpack, x[0].requires_grad_(), check_forward_ad=True)
    torch.autograd.gradgradcheck(layout.unpack, x[0].requires_grad_())


@pytest.mark.parametrize("dtype", [torch.bool, torch.int64, torch.float32])
def test_masks_of_any_dtype(dtype: torch.dtype) -> None:
    assert Layout.from_mask(torch.tensor([[1, 0, 1], [1, 1, 1]]).to(dtype)).lengths == (2, 3)


def test_a_full_mask_needs_no_index() -> None:
    layout = Layout.from_mask(torch.ones(2, 3))
    assert layout.index is None
    assert layout.lengths == (3, 3)
    x = torch.randn(2, 3, 4)
    assert layout.pack(x).data_ptr() == x.data_ptr(), "packing a full batch is a view"


def test_what_is_masked_is_not_read() -> None:
    mask = torch.tensor([[True, False], [True, True]])
    x = torch.full((2, 2), float("nan")).masked_fill(mask, 1.0).requires_grad_()
    layout = Layout.from_mask(mask)
    packed = layout.pack(x)
    assert packed.isfinite().all()
    (gradient,) = torch.autograd.grad(layout.unpack(packed).sum(), x)
    assert torch.equal(gradient, mask.float())


def test_groups_are_runs_of_equal_lengths() -> None:
    assert Layout([3, 3, 5, 3]).groups() == [(2, 3, 3), (1, 5, 5), (1, 3, 3)]
    assert Layout([3, 3, 5]).groups(Layout([1, 2, 2])) == [(1, 3, 1), (1, 3, 2), (1, 5, 2)]
    with pytest.raises(ValueError, match="zip"):
        Layout([3, 3]).groups(Layout([1]))


@pytest.mark.parametrize("offsets", [[0, 2, 2, 5], (0, 2, 2, 5), torch.tensor([0, 2, 2, 5], dtype=torch.int32)])
def test_offsets_of_every_kind(offsets: list[int] | torch.Tensor) -> None:
    layout = as_layout(offsets)
    assert layout.lengths == (2, 0, 3)
    assert layout.offsets == (0, 2, 2, 5)
    assert layout.num_tokens == 5
    assert as_layout(layout) is layout


@pytest.mark.parametrize("offsets", [[], [0], [1, 2], [0, 3, 2], torch.tensor([0])])
def test_bounds_that_are_none(offsets: list[int] | torch.Tensor) -> None:
    with pytest.raises(ValueError, match="offsets must start at 0 and never fall"):
        as_layout(offsets)


def test_offsets_for_another_number_of_tokens() -> None:
    x = torch.randn(5, 1, 4)
    with pytest.raises(ValueError, match="the offsets speak of 4 tokens, query has 5"):
        softmax_attention(x, x, x, offsets=[0, 4])
    with pytest.raises(ValueError, match="the offsets speak of 6 tokens, key has 5"):
        softmax_attention(x, x, x, offsets=[0, 5], key_offsets=[0, 6])


def test_no_padded_form_without_a_shape() -> None:
    with pytest.raises(ValueError, match="no padded form"):
        Layout([2, 3]).unpack(torch.zeros(5, 1))


@given(lengths=st.lists(st.integers(0, 30), max_size=20), rows=st.integers(1, 25))
def test_blocks_fill_the_rows_and_split_no_document(lengths: list[int], rows: int) -> None:
    blocks = Layout(lengths).blocks(rows)
    assert [length for block in blocks for length in block] == lengths
    assert all(sum(block) <= rows or len([length for length in block if length > 0]) == 1 for block in blocks)
    assert all(sum(first) + following[0] > rows for first, following in pairwise(blocks))
