"""A document that is projected as it is read, against the same projected whole."""

from typing import Any
from unittest.mock import patch

import torch
from hypothesis import given
from hypothesis import strategies as st

from nysformer.ops import LandmarkKind, NystromSpec, nystrom_attention, nystrom_stream, stream

HEADS, WIDTH, SIZE = 3, 8, 16
TOLERANCE = {torch.float64: 1e-9, torch.float32: 1e-4, torch.bfloat16: 0.05}


@given(
    length=st.integers(6, 400),
    landmarks=st.integers(1, 5),
    kernel=st.sampled_from([None, 1, 3, 35]),
    iterations=st.integers(1, 8),
    per_head_start=st.booleans(),
    dtype=st.sampled_from([torch.float32, torch.bfloat16]),
    kind=st.sampled_from(["segments", "clusters"]),
)
def test_is_nystrom_attention_of_the_whole(
    length: int,
    landmarks: int,
    kernel: int | None,
    iterations: int,
    per_head_start: bool,
    dtype: torch.dtype,
    kind: LandmarkKind,
) -> None:
    if kind == "clusters":
        dtype = torch.float64  # rounding may decide where a token belongs
    torch.manual_seed(length)
    hidden = torch.randn(length, SIZE).to(dtype)
    weights = [torch.randn(SIZE, HEADS * WIDTH).to(dtype) / 4 for _ in range(3)]
    conv = None if kernel is None else torch.randn(HEADS, 1, kernel, 1).to(dtype)
    whole = torch.promote_types(dtype, torch.float32)
    query, key, value = ((hidden.to(whole) @ w.to(whole)).unflatten(-1, (HEADS, WIDTH)) for w in weights)
    settings: dict[str, Any] = {
        "num_landmarks": landmarks,
        "landmarks": kind,
        "pinv_iterations": iterations,
        "per_head_start": per_head_start,
    }
    expected = nystrom_attention(
        query.requires_grad_(),  # the form for training
        key,
        value,
        offsets=[0, length],
        conv_weight=None if conv is None else conv.to(whole),
        **settings,
    ).detach()

    def project(x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        return (x @ weight).unflatten(-1, (HEADS, WIDTH))

    with torch.no_grad(), patch.object(stream, "BLOCK_ROWS", 64):
        blocks = list(
            nystrom_stream(
                hidden,
                lambda x: project(x, weights[0]),
                lambda x: (project(x, weights[1]), project(x, weights[2])),
                NystromSpec(**settings),
                conv_weight=conv,
            )
        )
    assert [len(block) for block in blocks] == [len(rows) for rows in hidden.split(64)]
    ours = torch.cat(blocks)
    assert ours.dtype == dtype
    bound = TOLERANCE[dtype] * max(1.0, expected.abs().max().item())
    torch.testing.assert_close(ours.to(whole), expected, atol=bound, rtol=0)
