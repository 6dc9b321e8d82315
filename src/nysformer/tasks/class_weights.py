"""How much documents of each label count in a loss, so that rare labels are learned too."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = ["ClassWeights", "label_weights", "positive_weights"]

ClassWeights: TypeAlias = Literal["sqrt", "balanced"]
"""By the inverse square root of the label's frequency, or by its inverse."""

_POWER: dict[ClassWeights, float] = {"sqrt": 0.5, "balanced": 1.0}


def label_weights(counts: Sequence[int] | NDArray[np.int64], kind: ClassWeights) -> NDArray[np.float64]:
    """(C,) weights of single labels, 1 on average over the documents.

    Args:
        counts: documents of each of C labels; a label without documents weighs as if it had one.
        kind: see `ClassWeights`.

    Example:
        >>> label_weights([16, 4], "balanced").tolist()
        [0.625, 2.5]
        >>> label_weights([16, 4], "sqrt").round(3).tolist()
        [0.833, 1.667]
    """
    documents = np.asarray(counts, dtype=np.float64)
    weights = np.maximum(documents, 1) ** -_POWER[kind]
    total = float(documents @ weights)
    return weights * (documents.sum() / total) if total else weights


def positive_weights(
    counts: Sequence[int] | NDArray[np.int64], documents: int, kind: ClassWeights
) -> NDArray[np.float64]:
    """(C,) weights of documents that have a label, where each of C labels is a yes or no; the others weigh 1.

    Args:
        counts: documents that have each label.
        documents: all of them.
        kind: "balanced" makes both answers weigh alike in sum, "sqrt" goes half of that way.

    Example:
        >>> positive_weights([10, 50], 100, "balanced").tolist(), positive_weights([10, 50], 100, "sqrt").tolist()
        ([9.0, 1.0], [3.0, 1.0])
    """
    present = np.maximum(np.asarray(counts, dtype=np.float64), 1)
    weights: NDArray[np.float64] = ((documents - np.asarray(counts)) / present) ** _POWER[kind]
    return weights
