"""The iterative inverse: where it starts, where it goes, and its bounds."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from nysformer.ops import MAX_PINV_ITERATIONS, iterative_pinv, reference


def kernels(*shape: int, sharpness: float = 1.0, seed: int = 0) -> torch.Tensor:
    scores = torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    return (sharpness * scores).softmax(dim=-1)


@given(
    m=st.integers(1, 64),
    heads=st.integers(1, 4),
    steps=st.integers(1, MAX_PINV_ITERATIONS),
    per_head=st.booleans(),
    sharpness=st.sampled_from([0.1, 1.0, 5.0]),
    seed=st.integers(0, 99),
)
def test_equals_the_reference(m: int, heads: int, steps: int, per_head: bool, sharpness: float, seed: int) -> None:
    matrix = kernels(2, heads, m, m, sharpness=sharpness, seed=seed)
    inverse = iterative_pinv(matrix, steps, per_head_start=per_head)
    for b in range(2):
        sums = matrix[b].sum(dim=-2).amax(dim=-1)
        for h in range(heads):
            expected = reference.iterative_inverse(matrix[b, h], sums[h] if per_head else sums.max(), steps)
            error = (inverse[b, h] - expected).abs().max()
            assert error <= 1e-9 * expected.abs().max()


def test_a_document_does_not_share_its_start() -> None:
    together = kernels(3, 2, 8, 8, sharpness=3)
    alone = torch.cat([iterative_pinv(document[None]) for document in together])
    torch.testing.assert_close(iterative_pinv(together), alone, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("per_head", [False, True])
def test_converges_on_well_conditioned_kernels(per_head: bool) -> None:
    matrix = (6 * torch.eye(16, dtype=torch.float64) + kernels(2, 3, 16, 16)).softmax(dim=-1)
    inverse = iterative_pinv(matrix, MAX_PINV_ITERATIONS, per_head_start=per_head)
    torch.testing.assert_close(inverse, torch.linalg.pinv(matrix), rtol=1e-10, atol=1e-10)


def test_each_heads_own_start_converges_faster() -> None:
    # One head attends to a single landmark, which makes the shared start small for the other.
    easy = (4 * torch.eye(8, dtype=torch.float64)).softmax(dim=-1)
    column = torch.zeros(8, 8, dtype=torch.float64)
    column[:, 0] = 8.0
    matrix = torch.stack([easy, column.softmax(dim=-1)])[None]
    identity = torch.eye(8, dtype=torch.float64)
    errors = [
        (iterative_pinv(matrix, 3, per_head_start=per_head)[0, 0] @ easy - identity).abs().max()
        for per_head in (False, True)
    ]
    assert errors[1] < errors[0] / 10


@pytest.mark.parametrize("steps", [0, -1, MAX_PINV_ITERATIONS + 1, 20])
def test_bounds(steps: int) -> None:
    with pytest.raises(ValueError, match=f"pinv_iterations is {steps}: choose 1 to {MAX_PINV_ITERATIONS}"):
        iterative_pinv(kernels(1, 2, 2), steps)


def test_the_docstring_says_why_more_steps_are_not_better() -> None:
    assert "More steps are not better" in str(iterative_pinv.__doc__)


@pytest.mark.parametrize("per_head", [False, True])
def test_gradients(per_head: bool) -> None:
    scores = torch.randn(1, 2, 4, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: iterative_pinv(x.softmax(-1), per_head_start=per_head), scores)
