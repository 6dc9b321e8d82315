"""How near document vectors come to those of another encoder, measured against what tells the documents apart.

Shapes: K documents, E hidden size.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import torch.nn.functional as F
from torch import Tensor

__all__ = ["Fidelity", "fidelity"]


@dataclass(frozen=True)
class Fidelity:
    """Means over documents.

    Attributes:
        relative_error: distance between the two vectors of a document, over the exact vectors' mean distance from their
            mean.
        centred_cosine: cosine of the two, the mean of the exact vectors taken off both.
        cosine: cosine of the two as they are. It flatters: documents have most of their vectors in common.
        shift: the part of the error that all documents have in common, on the scale of `relative_error`.
    """

    relative_error: float
    centred_cosine: float
    cosine: float
    shift: float

    def as_dict(self) -> dict[str, float]:
        """The figures by name."""
        return asdict(self)


def fidelity(found: Tensor, exact: Tensor) -> Fidelity:
    """Compare vectors of the same documents.

    Args:
        found: (K, E).
        exact: (K, E), of at least two documents that differ.

    Example:
        >>> import torch
        >>> exact = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
        >>> fidelity(exact, exact).relative_error
        0.0
    """
    found, exact = found.double(), exact.double()
    mean = exact.mean(dim=0)
    spread = (exact - mean).norm(dim=1).mean()
    error = found - exact
    return Fidelity(
        relative_error=float(error.norm(dim=1).mean() / spread),
        centred_cosine=float(F.cosine_similarity(found - mean, exact - mean).mean()),
        cosine=float(F.cosine_similarity(found, exact).mean()),
        shift=float(error.mean(dim=0).norm() / spread),
    )
