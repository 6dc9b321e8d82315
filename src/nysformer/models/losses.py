"""The losses of the five heads. None is ever NaN: a batch whose labels are all ignored costs 0.

Each divides a sum by num_items: None for the number of labels in this batch that count, which makes it a mean. With
that number of several batches together, their losses add up to the loss of one batch of them all.

Shapes: B batch, N length, C classes.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from nysformer.errors import NysformerError
from nysformer.ops import is_recorded

__all__ = ["IGNORED", "cross_entropy", "few_labelled_rows", "sequence_loss", "span_loss"]

IGNORED = -100


def cross_entropy(logits: Tensor, labels: Tensor, num_items: Tensor | int | None = None) -> Tensor:
    """Mean cross-entropy of (..., C) logits over the (...) labels that are not -100; 0 where all are.

    Raises:
        NysformerError: another number of labels than of logits, or a label that is none of the C classes.
    """
    if labels.numel() != logits.shape[:-1].numel():
        raise NysformerError(f"labels of shape {tuple(labels.shape)} do not fit logits of shape {tuple(logits.shape)}")
    logits, labels, classes = logits.flatten(0, -2), labels.flatten().long(), logits.shape[-1]
    counted = labels != IGNORED
    if not is_recorded() and bool((counted & ((labels < 0) | (labels >= classes))).any()):
        raise NysformerError(
            f"labels hold {int(labels[counted].min())} to {int(labels.max())}, and there are {classes} classes, 0 to "
            f"{classes - 1}: is num_labels too small? ({IGNORED} is ignored)"
        )
    rows = few_labelled_rows(labels)
    if rows is not None:
        logits, labels = logits.index_select(0, rows), labels[rows]
    total = F.cross_entropy(_precise(logits), labels, ignore_index=IGNORED, reduction="sum")
    return _divide(total, counted.sum() if num_items is None else num_items)


def few_labelled_rows(labels: Tensor) -> Tensor | None:
    """The rows of (T,) labels that are not -100, (K,) int64, where they are fewer than half of all.

    None where they are more, since selecting them would then cost more than it saves, and while recorded, where no
    shape may depend on data.
    """
    if is_recorded():
        return None
    rows = (labels != IGNORED).nonzero()[:, 0]
    return rows if 2 * len(rows) < len(labels) else None


def sequence_loss(
    logits: Tensor, labels: Tensor, problem_type: str | None, num_items: Tensor | int | None = None
) -> Tensor:
    """The loss of (B, C) logits by problem type, inferred from the labels where it is None.

    One output is a regression, several with integer labels a single-label classification, else multi-label.
    """
    if problem_type is None:
        if logits.shape[-1] == 1:
            problem_type = "regression"
        elif labels.dtype.is_floating_point or labels.dim() > 1:
            problem_type = "multi_label_classification"
        else:
            problem_type = "single_label_classification"
    if problem_type == "single_label_classification":
        return cross_entropy(logits, labels, num_items)
    if problem_type not in ("regression", "multi_label_classification"):
        raise NysformerError(
            f"problem_type is {problem_type!r}: choose 'regression', 'single_label_classification' or "
            "'multi_label_classification', or leave it to the labels"
        )
    if labels.numel() != logits.numel():
        raise NysformerError(
            f"labels of shape {tuple(labels.shape)} do not fit logits of shape {tuple(logits.shape)} for {problem_type}"
        )
    logits = _precise(logits)
    labels = labels.reshape(logits.shape).to(logits.dtype)
    loss = F.mse_loss if problem_type == "regression" else F.binary_cross_entropy_with_logits
    return loss(logits, labels) if num_items is None else _divide(loss(logits, labels, reduction="sum"), num_items)


def span_loss(
    start_logits: Tensor,
    end_logits: Tensor,
    start_positions: Tensor,
    end_positions: Tensor,
    mask: Tensor | None,
    num_items: Tensor | int | None = None,
) -> Tensor:
    """The mean of start and end cross-entropy over (B, N) logits.

    Positions are clamped to [0, N]; N, and a position that is masked, point at no token and are ignored.
    """
    length = start_logits.shape[1]
    losses = []
    for logits, positions in ((start_logits, start_positions), (end_logits, end_positions)):
        positions = positions.reshape(-1).clamp(0, length)
        ignored = positions == length
        if mask is not None:
            inside = positions.clamp(max=length - 1)[:, None]
            ignored = ignored | ~mask.gather(1, inside)[:, 0]
        losses.append(cross_entropy(logits, torch.where(ignored, IGNORED, positions), num_items))
    return (losses[0] + losses[1]) / 2


def _divide(total: Tensor, count: Tensor | int) -> Tensor:
    """total / count, and 0 of nothing is 0."""
    count = torch.as_tensor(count, device=total.device).reshape(())
    return total / torch.where(count == 0, 1, count)


def _precise(logits: Tensor) -> Tensor:
    """In float32 at least."""
    return logits.to(torch.promote_types(logits.dtype, torch.float32))
