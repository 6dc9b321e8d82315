"""The iterative pseudo-inverse of the landmark kernel. Shapes: B batch, H heads, M landmarks."""

import torch
from torch import Tensor

__all__ = ["MAX_PINV_ITERATIONS", "iterative_pinv", "newton_steps"]

MAX_PINV_ITERATIONS = 12


def iterative_pinv(matrix: Tensor, iterations: int = 6, *, per_head_start: bool = False) -> Tensor:
    """Approach the Moore-Penrose inverse of softmax kernels by matrix products alone.

    Z <- Z (13 I - A Z (15 I - A Z (7 I - A Z))) / 4, from Z = A^T / c.

    More steps are not better. A is nearly singular and its true pseudo-inverse amplifies noise; six steps act as a
    regulariser. On MiniLM's real attention (512 tokens, 64 landmarks) the cosine of the document embedding to the exact
    one is .904 after 6 steps, .911 after 8 and .27 after 20, hence the bound.

    Args:
        matrix: (..., H, M, M), rows that sum to 1 (a softmax), at least float32.
        iterations: 1 .. 12.
        per_head_start: c is the largest column sum of each head by itself (faster convergence) instead of the largest
            over all heads of the document (the published default).

    Returns:
        (..., H, M, M).

    Raises:
        ValueError: iterations out of bounds.

    Source:
        Xiong et al. 2021, equation 11 (Razavi et al. 2014).

    Example:
        >>> kernel = torch.softmax(4 * torch.eye(3), dim=-1).unsqueeze(0)
        >>> bool((iterative_pinv(kernel) @ kernel - torch.eye(3)).abs().max() < 1e-5)
        True
    """
    if not 1 <= iterations <= MAX_PINV_ITERATIONS:
        raise ValueError(f"pinv_iterations is {iterations}: choose 1 to {MAX_PINV_ITERATIONS} (6 is the method's)")
    column_sums = matrix.sum(dim=-2, keepdim=True)
    start = column_sums.amax(dim=-1 if per_head_start else (-3, -1), keepdim=True)
    return newton_steps(matrix, matrix.transpose(-1, -2) / start, iterations)


def newton_steps(matrix: Tensor, inverse: Tensor, iterations: int) -> Tensor:
    """The iteration alone, from the given first guess: (..., M, M) twice to (..., M, M)."""
    shape = matrix.shape
    kernel, inverse = matrix.flatten(0, -3), inverse.flatten(0, -3)
    identity = torch.eye(shape[-1], dtype=matrix.dtype, device=matrix.device)
    quarter_13, identity_15 = 13 / 4 * identity, 15 * identity
    for _ in range(iterations):
        # Sums ride on the products (baddbmm): at M = 64 what this costs is mostly the number of calls.
        product = torch.bmm(kernel, inverse)
        inner = torch.baddbmm(identity_15, product, 7 * identity - product, alpha=-1)
        inverse = torch.bmm(inverse, torch.baddbmm(quarter_13, product, inner, alpha=-0.25))
    return inverse.view(shape)
