"""How good a classifier is: over all documents, by class, and by length.

Shapes: n documents, C labels.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import torch
from sklearn.metrics import accuracy_score, confusion_matrix, f1_score, precision_recall_fscore_support
from torch import Tensor

from nysformer.errors import NysformerError

__all__ = ["LENGTH_BANDS", "classification_metrics"]

LENGTH_BANDS = (512, 1024, 2048, 4096)
"""Upper ends of the length bands, in tokens; what is longer than the last falls into a band of its own."""

# The matrix grows with the square of the labels; the list of pairs does not.
CONFUSION_LABELS = 500
CONFUSION_PAIRS = 100


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
    if n == 0:
        raise NysformerError("metrics: there are no documents; give at least one")
    if logits.shape != (n, len(label_names)) or len(lengths) != n:
        raise NysformerError(
            f"metrics: logits of shape {tuple(logits.shape)}, {n} targets, {len(lengths)} lengths and "
            f"{len(label_names)} label names do not belong together; give logits (n, C), n targets, n lengths, C names"
        )
    predicted = logits.argmax(dim=-1).cpu().numpy()
    wanted = targets.cpu().numpy()
    precision, recall, f1, support = precision_recall_fscore_support(
        wanted, predicted, labels=range(len(label_names)), zero_division=0.0
    )
    length = torch.tensor(lengths)
    by_length = []
    for low, high in zip((0, *bands), (*bands, None), strict=True):
        inside = (length > low).numpy() if high is None else ((length > low) & (length <= high)).numpy()
        if inside.any():
            name = f"> {low}" if high is None else f"{low + 1}-{high}"
            by_length.append({"band": name, **_scores(wanted[inside], predicted[inside])})
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
        "by_length": by_length,
        "confusion": _confusion(wanted, predicted, list(label_names)),
    }


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
