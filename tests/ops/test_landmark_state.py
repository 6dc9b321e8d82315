"""The approximation over pieces of a document against the reference on the whole of it."""

from functools import reduce
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from nysformer.ops import LandmarkKind, LandmarkState, LandmarkSums, NystromSpec, reference
from nysformer.ops.clusters import assign, sums_of

TOLERANCE = {torch.float64: 1e-9, torch.float32: 1e-5}
cuts = st.lists(st.integers(1, 90), min_size=1, max_size=5)


def draw(length: int, dtype: torch.dtype = torch.float64) -> list[Tensor]:
    torch.manual_seed(length)
    return list(torch.randn(3, 2, 3, length, 8).to(dtype).unbind(0))


def in_pieces(operands: list[Tensor], cuts: list[int], spec: NystromSpec) -> Tensor:
    """As ranks would compute it: each holds one piece of every operand, and only sums and summaries are shared."""
    query, key, value = (x.split(cuts, dim=2) for x in operands)
    starts = [sum(cuts[:place]) for place in range(len(cuts))]
    landmarks = []
    for side in (query, key):
        parts = zip(side, starts, strict=True)
        sums = [LandmarkSums.of_segments(x, spec.num_landmarks, start, sum(cuts)) for x, start in parts]
        centres = reduce(LandmarkSums.merge, sums).means()
        for _ in range(spec.landmark_steps if spec.landmarks == "clusters" else 0):
            indices = [assign(x.detach(), centres.detach())[0] for x in side]
            sums = [sums_of(x, index, spec.num_landmarks) for x, index in zip(side, indices, strict=True)]
            centres = reduce(LandmarkSums.merge, sums).means(centres)
        landmarks.append(centres.to(operands[0].dtype))
    states = [LandmarkState(*landmarks, spec) for _ in cuts]
    for state, k, v in zip(states, key, value, strict=True):
        state.add(k, v)
    outputs = []
    for place, q in enumerate(query):
        whole_state = LandmarkState(*landmarks, spec)
        for other in (*states[place:], *states[:place]):
            whole_state.merge(other)
        whole_state.solve()
        outputs.append(whole_state.read(q))
    return torch.cat(outputs, dim=2)


def truth(operands: list[Tensor], spec: NystromSpec) -> Tensor:
    options: dict[str, Any] = {"pinv_iterations": spec.pinv_iterations, "per_head_start": spec.per_head_start}
    return torch.stack(
        [
            reference.attention(
                *(x[b].transpose(0, 1) for x in operands),
                num_landmarks=spec.num_landmarks,
                landmarks=spec.landmarks,
                landmark_steps=spec.landmark_steps,
                scale=spec.scale,
                **options,
            ).transpose(0, 1)
            for b in range(2)
        ]
    )


@given(
    cuts=cuts,
    landmarks=st.integers(1, 12),
    kind=st.sampled_from(["segments", "clusters"]),
    per_head_start=st.booleans(),
    scale=st.sampled_from([None, 0.1]),
    dtype=st.sampled_from(list(TOLERANCE)),
    gradients=st.booleans(),
)
def test_cut_anywhere_it_is_the_whole(
    cuts: list[int],
    landmarks: int,
    kind: LandmarkKind,
    per_head_start: bool,
    scale: float | None,
    dtype: torch.dtype,
    gradients: bool,
) -> None:
    cuts[0] = max(cuts[0], landmarks + 1 - sum(cuts[1:]))  # long enough to have landmarks
    spec = NystromSpec(num_landmarks=landmarks, landmarks=kind, per_head_start=per_head_start, scale=scale)
    if kind == "clusters":
        dtype = torch.float64  # in float32 the last digit may decide
    leaves = [x.requires_grad_(gradients) for x in draw(sum(cuts), dtype)]
    exact = [x.detach().double().requires_grad_(gradients) for x in leaves]
    with torch.set_grad_enabled(gradients):
        ours, theirs = in_pieces(leaves, cuts, spec), truth(exact, spec)
    assert (ours - theirs).abs().max() <= TOLERANCE[dtype] * theirs.abs().max()
    if gradients:
        seed = torch.randn_like(theirs)
        found = torch.autograd.grad(ours, leaves, seed.to(dtype))
        wanted = torch.autograd.grad(theirs, exact, seed)
        size = max(gradient.abs().max() for gradient in wanted)
        for gradient, true_gradient in zip(found, wanted, strict=True):
            assert (gradient - true_gradient).abs().max() <= TOLERANCE[dtype] * size


def test_the_order_of_the_calls() -> None:
    query, key, value = draw(40)
    state = LandmarkState.means(query, key, NystromSpec(num_landmarks=4))
    with pytest.raises(AssertionError, match="no keys"):
        state.solve()
    state.add(key, value)
    with pytest.raises(AssertionError, match="solve"):
        state.read(query)


def test_factors_multiply_to_what_is_read() -> None:
    query, key, value = draw(40)
    state = LandmarkState.means(query, key, NystromSpec(num_landmarks=4))
    state.add(key, value)
    state.solve()
    product = state.first(query) @ (state.inverse() @ (state.third(key) @ value))
    torch.testing.assert_close(state.read(query), product, rtol=1e-12, atol=1e-12)


@torch.no_grad()
def test_blocks_of_inference_are_the_fused_form() -> None:
    query, key, value = draw(70, torch.float32)
    state = LandmarkState.means(query, key, NystromSpec(num_landmarks=5))
    for keys, values in zip(key.split(30, dim=2), value.split(30, dim=2), strict=True):
        state.add(keys, values)
    state.solve()
    weighted = state.inverse() @ F.scaled_dot_product_attention(state.query_landmarks, key, value)
    expected = F.scaled_dot_product_attention(query, state.key_landmarks, weighted)
    torch.testing.assert_close(state.read(query), expected, rtol=1e-5, atol=1e-5)
