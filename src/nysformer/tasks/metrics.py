"""How good a classifier is: over all documents, by class, and by length.

Shapes: n documents, C labels.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from scipy.stats import spearmanr
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    confusion_matrix,
    f1_score,
    precision_recall_fscore_support,
)
from torch import Tensor

from nysformer.errors import NysformerError
from nysformer.tasks.labels import MULTI_LABEL, REGRESSION, SINGLE_LABEL, ProblemType

__all__ = ["LENGTH_BANDS", "classification_metrics", "measure_labels", "multi_label_metrics", "regression_metrics"]

LENGTH_BANDS = (512, 1024, 2048, 4096)
"""Upper ends of the length bands, in tokens; what is longer than the last falls into a band of its own."""

# The matrix grows with the square of the labels; the list of pairs does not.
CONFUSION_LABELS = 500
CONFUSION_PAIRS = 100


def measure_labels(
    problem_type: ProblemType, logits: Tensor, targets: Tensor, lengths: Sequence[int], label_names: Sequence[str]
) -> dict[str, Any]:
    """The metrics of a problem type, by the function below that has its name."""
    measure = {
        SINGLE_LABEL: classification_metrics,
        MULTI_LABEL: multi_label_metrics,
        REGRESSION: regression_metrics,
    }[problem_type]
    return measure(logits, targets, lengths, label_names)


def classification_metrics(
    logits: Tensor,
    targets: Tensor,
    lengths: Sequence[int],
    label_names: Sequence[str],
    bands: Sequence[int] = LENGTH_BANDS,
) -> dict[str, Any]:
    """Accuracy, macro-F1, loss, and the same by class and by document length.

    Macro-F1 is the plain mean of F1 over the classes present among the targets or the predictions, of the whole set
    or of the band it is given for: a class that a band neither holds nor is predicted in does not count as a zero.
    A class never predicted has precision 0, a class never seen has recall 0.

    Args:
        logits: (n, C) scores of any float type; a document's prediction is its largest.
        targets: (n,) int64, the right label's index.
        lengths: n document lengths in tokens, at least 1, before any truncation.
        label_names: C names.
        bands: increasing upper ends of the length bands, in tokens.

    Returns:
        `accuracy`, `macro_f1`, `loss` (mean cross-entropy, in nats), `documents`; `per_class`: label -> `precision`,
        `recall`, `f1`, `documents`; `by_length`: one entry per band that has documents, shortest first, with `band`
        ("1-512", ..., "> 4096"), `documents`, `accuracy`, `macro_f1`; `confusion`: `labels`; `counts`, C rows of C
        numbers of documents, a row per true label, a column per predicted one, None beyond 500 labels; `pairs`, the
        most frequent confusions with `label`, `predicted`, `documents`, at most 100. Plain Python numbers throughout.

    Raises:
        NysformerError: there are no documents, or the four inputs disagree on n or C.

    Example:
        >>> import torch
        >>> logits = torch.tensor([[2.0, 0.0], [0.0, 3.0], [1.0, 0.0]])
        >>> metrics = classification_metrics(logits, torch.tensor([0, 1, 1]), [10, 600, 30], ["ham", "spam"])
        >>> round(metrics["accuracy"], 3), [band["band"] for band in metrics["by_length"]]
        (0.667, ['1-512', '513-1024'])
    """
    n = len(targets)
    _check(logits, n, lengths, label_names)
    predicted = logits.argmax(dim=-1).cpu().numpy()
    wanted = targets.cpu().numpy()
    precision, recall, f1, support = precision_recall_fscore_support(
        wanted, predicted, labels=range(len(label_names)), zero_division=0.0
    )
    return {
        **_scores(wanted, predicted),
        "loss": float(torch.nn.functional.cross_entropy(logits.float(), targets)),
        "per_class": {
            name: {
                "precision": float(precision[i]),
                "recall": float(recall[i]),
                "f1": float(f1[i]),
                "documents": int(support[i]),
            }
            for i, name in enumerate(label_names)
        },
        "by_length": _by_length(lengths, bands, lambda inside: _scores(wanted[inside], predicted[inside])),
        "confusion": _confusion(wanted, predicted, list(label_names)),
    }


def multi_label_metrics(
    logits: Tensor,
    targets: Tensor,
    lengths: Sequence[int],
    label_names: Sequence[str],
    bands: Sequence[int] = LENGTH_BANDS,
) -> dict[str, Any]:
    """Micro- and macro-F1 at probability 0.5, average precision, loss, and the same by label and by document length.

    Macro averages are over the labels that some document has or gets.

    Args:
        logits: (n, C) of any float type.
        targets: (n, C), 1 where a document has the label, else 0.
        lengths, label_names, bands: as in `classification_metrics`.

    Returns:
        `micro_f1`, `macro_f1`, `average_precision` (mean over the labels that some document has), `exact_match` (the
        share of documents all of whose labels are right), `loss` (mean binary cross-entropy, in nats), `documents`,
        `per_class` (with `average_precision` too) and `by_length`, as `classification_metrics` has them.

    Raises:
        NysformerError: as `classification_metrics`.

    Example:
        >>> import torch
        >>> logits, targets = torch.tensor([[2.0, -1.0], [-3.0, 4.0]]), torch.tensor([[1, 0], [1, 1]])
        >>> metrics = multi_label_metrics(logits, targets, [10, 20], ["new", "old"])
        >>> round(metrics["micro_f1"], 3), metrics["exact_match"]
        (0.8, 0.5)
    """
    _check(logits, len(targets), lengths, label_names)
    predicted, wanted = (logits > 0).int().cpu().numpy(), targets.int().cpu().numpy()
    scores = logits.float().cpu().numpy()
    precision, recall, f1, support = precision_recall_fscore_support(wanted, predicted, average=None, zero_division=0.0)
    ranked = [
        float(average_precision_score(wanted[:, i], scores[:, i])) if support[i] else None
        for i in range(len(label_names))
    ]
    known = [value for value in ranked if value is not None]
    return {
        **_label_scores(wanted, predicted),
        "average_precision": sum(known) / max(len(known), 1),
        "exact_match": float((wanted == predicted).all(axis=1).mean()),
        "loss": float(torch.nn.functional.binary_cross_entropy_with_logits(logits.float(), targets.float())),
        "per_class": {
            name: {
                "precision": float(precision[i]),
                "recall": float(recall[i]),
                "f1": float(f1[i]),
                "average_precision": ranked[i],
                "documents": int(support[i]),
            }
            for i, name in enumerate(label_names)
        },
        "by_length": _by_length(lengths, bands, lambda inside: _label_scores(wanted[inside], predicted[inside])),
    }


def regression_metrics(
    logits: Tensor,
    targets: Tensor,
    lengths: Sequence[int],
    label_names: Sequence[str],
    bands: Sequence[int] = LENGTH_BANDS,
) -> dict[str, Any]:
    """Root mean square error, mean absolute error and Spearman's rank correlation, over all and by length.

    Args:
        logits: (n, 1), the predicted numbers.
        targets: (n,), the true ones.
        lengths, label_names, bands: as in `classification_metrics`.

    Returns:
        `rmse`, `mae` in the unit of the numbers, `spearman` (0 where either side is constant), `documents`, and
        `by_length` with `rmse` and `mae`.

    Raises:
        NysformerError: as `classification_metrics`.

    Example:
        >>> import torch
        >>> metrics = regression_metrics(torch.tensor([[1.0], [3.0]]), torch.tensor([1.0, 2.0]), [5, 5], ["value"])
        >>> metrics["mae"], round(metrics["spearman"], 6)
        (0.5, 1.0)
    """
    _check(logits, len(targets), lengths, label_names)
    predicted, wanted = logits[:, 0].double().cpu().numpy(), targets.double().cpu().numpy()
    constant = len(set(predicted.tolist())) < 2 or len(set(wanted.tolist())) < 2
    return {
        **_errors(wanted, predicted),
        "spearman": 0.0 if constant else float(spearmanr(wanted, predicted).statistic),
        "by_length": _by_length(lengths, bands, lambda inside: _errors(wanted[inside], predicted[inside])),
    }


def _check(logits: Tensor, n: int, lengths: Sequence[int], label_names: Sequence[str]) -> None:
    if n == 0:
        raise NysformerError("metrics: there are no documents; give at least one")
    if logits.shape != (n, len(label_names)) or len(lengths) != n:
        raise NysformerError(
            f"metrics: logits of shape {tuple(logits.shape)}, {n} targets, {len(lengths)} lengths and "
            f"{len(label_names)} label names do not belong together; give logits (n, C), n targets, n lengths, C names"
        )


def _by_length(
    lengths: Sequence[int], bands: Sequence[int], scores: Callable[[Any], dict[str, Any]]
) -> list[dict[str, Any]]:
    """The scores of each band that has documents, shortest first."""
    length = np.asarray(lengths)
    rows = []
    for low, high in zip((0, *bands), (*bands, None), strict=True):
        inside = length > low if high is None else (length > low) & (length <= high)
        if inside.any():
            rows.append({"band": f"> {low}" if high is None else f"{low + 1}-{high}", **scores(inside)})
    return rows


def _confusion(wanted: Any, predicted: Any, names: list[str]) -> dict[str, Any]:
    wrong = Counter((i, j) for i, j in zip(wanted.tolist(), predicted.tolist(), strict=True) if i != j)
    frequent = sorted(wrong.items(), key=lambda pair: (-pair[1], pair[0]))[:CONFUSION_PAIRS]
    few = len(names) <= CONFUSION_LABELS
    return {
        "labels": names,
        "counts": confusion_matrix(wanted, predicted, labels=range(len(names))).tolist() if few else None,
        "pairs": [{"label": names[i], "predicted": names[j], "documents": count} for (i, j), count in frequent],
    }


def _scores(wanted: Any, predicted: Any) -> dict[str, float | int]:
    """Of n >= 1 label indices each; scikit-learn's macro average is over the labels either side holds."""
    return {
        "documents": len(wanted),
        "accuracy": float(accuracy_score(wanted, predicted)),
        "macro_f1": float(f1_score(wanted, predicted, average="macro", zero_division=0.0)),
    }


def _label_scores(wanted: Any, predicted: Any) -> dict[str, float | int]:
    """Of n documents and C labels each."""
    present = (wanted | predicted).any(axis=0)
    kept = {"average": "macro", "zero_division": 0.0}
    return {
        "documents": len(wanted),
        "micro_f1": float(f1_score(wanted, predicted, average="micro", zero_division=0.0)),
        "macro_f1": float(f1_score(wanted[:, present], predicted[:, present], **kept)) if present.any() else 0.0,
    }


def _errors(wanted: Any, predicted: Any) -> dict[str, float | int]:
    return {
        "documents": len(wanted),
        "rmse": float(np.sqrt(((wanted - predicted) ** 2).mean())),
        "mae": float(np.abs(wanted - predicted).mean()),
    }
