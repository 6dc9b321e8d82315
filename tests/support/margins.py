"""How clearly tokens belong to their clusters: float32 tells them apart only where that is above its rounding."""

import torch
from torch import Tensor

from nysformer.ops import reference


def margin(x: Tensor, num_landmarks: int, steps: int) -> float:
    """By how much a token's nearest centre is nearer than the next, at least, in every step: (N, H, D).

    In squared distance, halved, over the largest squared norm, which is the size of what is rounded.
    """
    least = float("inf")
    if num_landmarks == 1 or len(x) <= num_landmarks:
        return least
    for tokens in x.detach().double().unbind(1):
        centres = reference.segment_means(tokens, num_landmarks)
        size = float(tokens.square().sum(dim=1).max())
        for _ in range(steps):
            nearest = torch.cdist(tokens, centres).square().topk(2, dim=1, largest=False).values
            least = min(least, float((nearest[:, 1] - nearest[:, 0]).min()) / 2 / size)
            centres = reference.cluster_centres(tokens, centres, 1)
    return least
