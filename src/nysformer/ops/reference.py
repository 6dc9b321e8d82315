"""The slow, obvious truth, in float64: one document at a time, one head at a time, the formula as it is written.

Every fast form is tested against this file, forward and (by autograd) backward. Shapes: N queries, S keys, H heads,
D head width, M landmarks, k kernel size.
"""

from typing import Literal

import torch
from torch import Tensor

__all__ = ["attention", "attention_map", "cluster_centres", "convolution", "iterative_inverse", "segment_means"]


def attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    *,
    num_landmarks: int | None,
    landmarks: Literal["segments", "clusters"] = "segments",
    landmark_steps: int = 2,
    scale: float | None = None,
    pinv_iterations: int = 6,
    per_head_start: bool = False,
    softmax_max_length: int = 0,
    conv_weight: Tensor | None = None,
) -> Tensor:
    """One document: query (N, H, D), key and value (S, H, D) to (N, H, D) in float64.

    num_landmarks None is softmax attention; otherwise documents of at most max(M, softmax_max_length) queries or keys
    are softmax too. conv_weight is (H, 1, k, 1).
    """
    value = value.double()
    full = attention_map(
        query,
        key,
        num_landmarks=num_landmarks,
        landmarks=landmarks,
        landmark_steps=landmark_steps,
        scale=scale,
        pinv_iterations=pinv_iterations,
        per_head_start=per_head_start,
        softmax_max_length=softmax_max_length,
    )
    heads = []
    for head in range(value.shape[1]):
        output = full[head] @ value[:, head]
        if conv_weight is not None:
            output = output + convolution(value[:, head], conv_weight[head, 0, :, 0].double())
        heads.append(output)
    return torch.stack(heads, dim=1)


def attention_map(
    query: Tensor,
    key: Tensor,
    *,
    num_landmarks: int | None,
    landmarks: Literal["segments", "clusters"] = "segments",
    landmark_steps: int = 2,
    scale: float | None = None,
    pinv_iterations: int = 6,
    per_head_start: bool = False,
    softmax_max_length: int = 0,
) -> Tensor:
    """One document's maps: query (N, H, D), key (S, H, D) to (H, N, S) in float64."""
    query, key = query.double(), key.double()
    scale = query.shape[-1] ** -0.5 if scale is None else scale
    heads = range(query.shape[1])
    if num_landmarks is None or min(len(query), len(key)) <= max(num_landmarks, softmax_max_length):
        return torch.stack([torch.softmax(scale * query[:, h] @ key[:, h].T, dim=-1) for h in heads])
    steps = landmark_steps if landmarks == "clusters" else 0
    query_landmarks = [cluster_centres(query[:, h], segment_means(query[:, h], num_landmarks), steps) for h in heads]
    key_landmarks = [cluster_centres(key[:, h], segment_means(key[:, h], num_landmarks), steps) for h in heads]
    second = [torch.softmax(scale * query_landmarks[h] @ key_landmarks[h].T, dim=-1) for h in heads]
    largest = [kernel.sum(dim=0).max() for kernel in second]
    starts = largest if per_head_start else [torch.stack(largest).max()] * len(heads)
    maps = []
    for h in heads:
        first = torch.softmax(scale * query[:, h] @ key_landmarks[h].T, dim=-1)
        third = torch.softmax(scale * query_landmarks[h] @ key[:, h].T, dim=-1)
        maps.append(first @ iterative_inverse(second[h], starts[h], pinv_iterations) @ third)
    return torch.stack(maps)


def segment_means(x: Tensor, num_landmarks: int) -> Tensor:
    """(N, D) to (M, D): the mean of tokens floor(j N / M) .. floor((j + 1) N / M) - 1 for each j."""
    n, m = len(x), num_landmarks
    return torch.stack([x[j * n // m : (j + 1) * n // m].mean(dim=0) for j in range(m)])


def cluster_centres(x: Tensor, centres: Tensor, steps: int) -> Tensor:
    """(N, D) and first centres (M, D) to the centres after so many Lloyd steps, (M, D).

    Each step assigns every token to its nearest centre, the lowest of several, and moves each centre that has tokens to
    their mean. Assignments carry no gradient, means do.
    """
    for _ in range(steps):
        distances = (x[:, None] - centres[None]).square().sum(dim=-1)
        nearest = [int(row.argmin()) for row in distances.detach()]
        moved = []
        for j in range(len(centres)):
            own = [i for i in range(len(x)) if nearest[i] == j]
            moved.append(x[own].mean(dim=0) if own else centres[j])
        centres = torch.stack(moved)
    return centres


def iterative_inverse(kernel: Tensor, start: Tensor, iterations: int) -> Tensor:
    """(M, M) to (M, M): the iteration from kernel^T / start."""
    identity = torch.eye(len(kernel), dtype=kernel.dtype, device=kernel.device)
    z = kernel.T / start
    for _ in range(iterations):
        az = kernel @ z
        z = z @ (13 * identity - az @ (15 * identity - az @ (7 * identity - az))) / 4
    return z


def convolution(value: Tensor, kernel: Tensor) -> Tensor:
    """(N, D) with a (k,) kernel to (N, D), zeros beyond both ends."""
    length, half = len(value), len(kernel) // 2
    padded = torch.cat([value.new_zeros(half, value.shape[1]), value, value.new_zeros(half, value.shape[1])])
    return torch.stack([kernel[j] * padded[j : j + length] for j in range(len(kernel))]).sum(dim=0)
