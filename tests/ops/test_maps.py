"""Maps: times V, plus the convolution, they are the output; rows are rows of the map; factors multiply to it."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nysformer.ops import (
    attention_factors,
    attention_map,
    attention_rows,
    depthwise_convolution,
    nystrom_attention,
    reference,
    softmax_attention,
)

options = st.fixed_dictionaries(
    {
        "num_landmarks": st.one_of(st.none(), st.integers(1, 64)),
        "landmarks": st.sampled_from(["segments", "clusters"]),
        "landmark_steps": st.sampled_from([2, 1, 3]),
        "scale": st.sampled_from([None, 0.1]),
        "per_head_start": st.booleans(),
        "pinv_iterations": st.sampled_from([6, 2]),
        "softmax_max_length": st.sampled_from([0, 50]),
    }
)


@settings(max_examples=60)
@given(n=st.integers(1, 150), s=st.one_of(st.none(), st.integers(1, 150)), options=options, seed=st.integers(0, 99))
def test_equals_the_reference(n: int, s: int | None, options: dict[str, object], seed: int) -> None:
    torch.manual_seed(seed)
    query, key = torch.randn(2, 2, n, 4, dtype=torch.float64), torch.randn(2, 2, s or n, 4, dtype=torch.float64)
    full = attention_map(query, key, **options)  # type: ignore[arg-type]
    assert full.shape == (2, 2, n, s or n)
    for b in range(2):
        truth = reference.attention_map(query[b].transpose(0, 1), key[b].transpose(0, 1), **options)  # type: ignore[arg-type]
        assert (full[b] - truth).abs().max() <= 1e-9 * truth.abs().max()


@settings(max_examples=60)
@given(n=st.integers(1, 150), options=options, k=st.sampled_from([None, 1, 65]), seed=st.integers(0, 99))
def test_times_the_values_is_the_output(n: int, options: dict[str, object], k: int | None, seed: int) -> None:
    torch.manual_seed(seed)
    query, key, value = torch.randn(3, 2, 3, n, 4, dtype=torch.float64).unbind(0)
    conv = None if k is None else torch.randn(3, 1, k, 1, dtype=torch.float64)
    if options["num_landmarks"] is None:
        output = softmax_attention(query, key, value, scale=options["scale"], conv_weight=conv)  # type: ignore[arg-type]
    else:
        output = nystrom_attention(query, key, value, conv_weight=conv, **options)  # type: ignore[arg-type]
    product = attention_map(query, key, **options) @ value  # type: ignore[arg-type]
    if conv is not None:
        product = product + depthwise_convolution(value, conv)
    assert (output - product).abs().max() <= 1e-9 * product.abs().max()


@pytest.mark.parametrize("m", [None, 4])
@pytest.mark.parametrize("rows", [[0], [3, 1, 1], range(20), torch.tensor([19])])
def test_rows_are_rows_of_the_map(m: int | None, rows: torch.Tensor) -> None:
    query, key = torch.randn(2, 1, 2, 20, 4, dtype=torch.float64).unbind(0)
    index = torch.as_tensor(rows)
    full = attention_map(query, key, num_landmarks=m)
    torch.testing.assert_close(attention_rows(query, key, rows, num_landmarks=m), full[:, :, index])


def test_rows_past_the_map() -> None:
    query = torch.randn(1, 1, 20, 4)
    with pytest.raises((IndexError, ValueError), match="out of range"):
        attention_rows(query, query, [20], num_landmarks=4)


def test_a_row_of_a_long_document_needs_no_map() -> None:
    query = torch.randn(1, 1, 200_000, 2)  # its map has 4e10 entries, 160 GB
    assert attention_rows(query, query, [5, 199_999], num_landmarks=4).shape == (1, 1, 2, 200_000)


def test_the_factors_multiply_to_the_map() -> None:
    query, key = torch.randn(2, 2, 3, 30, 4, dtype=torch.float64).unbind(0)
    first, inverse, third = attention_factors(query, key, num_landmarks=7, per_head_start=True)
    assert (first.shape, inverse.shape, third.shape) == ((2, 3, 30, 7), (2, 3, 7, 7), (2, 3, 7, 30))
    full = attention_map(query, key, num_landmarks=7, per_head_start=True)
    torch.testing.assert_close(first @ inverse @ third, full)
    for factor in (first, third):
        torch.testing.assert_close(factor.sum(-1), torch.ones_like(factor[..., 0]))


def test_a_short_document_has_no_factors() -> None:
    query = torch.randn(1, 1, 4, 2)
    with pytest.raises(ValueError, match="use attention_map"):
        attention_factors(query, query, num_landmarks=4)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("m", [None, 4])
def test_maps_are_float32_at_least(dtype: torch.dtype, m: int | None) -> None:
    query, key = torch.randn(2, 1, 2, 20, 4).to(dtype).unbind(0)
    full = attention_map(query, key, num_landmarks=m)
    assert full.dtype == torch.float32
    # The landmarks are rounded to the dtype of the tokens, as the output's are.
    torch.testing.assert_close(full, attention_map(query.float(), key.float(), num_landmarks=m), rtol=0.1, atol=0.1)


def test_gradients() -> None:
    query, key = torch.randn(2, 1, 2, 9, 3, dtype=torch.float64).unbind(0)
    leaves = query.requires_grad_(), key.requires_grad_()
    assert torch.autograd.gradcheck(lambda q, k: attention_map(q, k, num_landmarks=3), leaves)
