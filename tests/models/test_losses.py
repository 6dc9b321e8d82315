"""Losses by their formulas; none is ever NaN."""

import pytest
import torch
import torch.nn.functional as F

from nysformer import NysformerError
from nysformer.models.losses import IGNORED, cross_entropy, few_labelled_rows, sequence_loss, span_loss


def test_ignored_labels() -> None:
    logits, labels = torch.randn(2, 5, 7), torch.randint(7, (2, 5))
    labels[0, 1] = labels[1, 3] = -100
    kept = labels != -100
    torch.testing.assert_close(cross_entropy(logits, labels), F.cross_entropy(logits[kept], labels[kept]))
    leaf = logits.requires_grad_()
    loss = cross_entropy(leaf, torch.full_like(labels, -100))
    assert loss == 0
    loss.backward()
    assert leaf.grad is not None
    assert not leaf.grad.any()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_logits_are_summed_in_float32(dtype: torch.dtype) -> None:
    logits, labels = torch.randn(3, 7).to(dtype), torch.tensor([1, 2, 3])
    for loss in (
        cross_entropy(logits, labels),
        sequence_loss(logits, torch.rand(3, 7).to(dtype), "regression"),
        sequence_loss(logits, torch.rand(3, 7).to(dtype), "multi_label_classification"),
    ):
        assert loss.dtype == torch.float32
        assert loss.isfinite()


@pytest.mark.parametrize("labels", [torch.rand(4), torch.rand(4, 1), torch.randint(3, (4,))])
def test_regression(labels: torch.Tensor) -> None:
    logits = torch.randn(4, 1)
    for problem_type in (None, "regression"):
        expected = F.mse_loss(logits[:, 0], labels.flatten().float())
        torch.testing.assert_close(sequence_loss(logits, labels, problem_type), expected)


def test_regression_of_several_values() -> None:
    logits, labels = torch.randn(4, 3), torch.rand(4, 3)
    torch.testing.assert_close(sequence_loss(logits, labels, "regression"), F.mse_loss(logits, labels))


def test_multi_label() -> None:
    logits, labels = torch.randn(4, 3), torch.randint(2, (4, 3))
    expected = F.binary_cross_entropy_with_logits(logits, labels.float())
    torch.testing.assert_close(sequence_loss(logits, labels.float(), None), expected)
    torch.testing.assert_close(sequence_loss(logits, labels, "multi_label_classification"), expected)


def test_labels_that_do_not_fit() -> None:
    with pytest.raises(NysformerError, match=r"labels of shape \(4,\) do not fit logits of shape \(4, 3\)"):
        sequence_loss(torch.randn(4, 3), torch.rand(4), None)
    with pytest.raises(NysformerError, match="do not fit"):
        cross_entropy(torch.randn(4, 3), torch.zeros(5, dtype=torch.long))
    with pytest.raises(NysformerError, match=r"labels hold 0 to 3, .*0 to 2"):
        cross_entropy(torch.randn(4, 3), torch.arange(4))


def test_an_unknown_problem_type() -> None:
    with pytest.raises(NysformerError, match="problem_type is 'ranking': choose 'regression'"):
        sequence_loss(torch.randn(4, 3), torch.rand(4, 3), "ranking")


def test_spans_are_clamped_and_the_end_is_ignored() -> None:
    start, end = torch.randn(4, 6), torch.randn(4, 6)
    starts, ends = torch.tensor([2, 6, 99, -3]), torch.tensor([3, 5, 6, 0])
    expected = (
        F.cross_entropy(start[[0, 3]], torch.tensor([2, 0])) + F.cross_entropy(end[[0, 1, 3]], torch.tensor([3, 5, 0]))
    ) / 2
    torch.testing.assert_close(span_loss(start, end, starts, ends, None), expected)
    torch.testing.assert_close(span_loss(start, end, starts[:, None], ends[:, None], None), expected)
    assert span_loss(start, end, starts + 99, ends + 99, None) == 0


def test_spans_on_masked_places_are_ignored() -> None:
    start, end = torch.randn(2, 6), torch.randn(2, 6)
    mask = torch.ones(2, 6, dtype=torch.bool)
    mask[1, 4:] = False
    positions = torch.tensor([5, 5])
    expected = (F.cross_entropy(start[:1], positions[:1]) + F.cross_entropy(end[:1], positions[:1])) / 2
    torch.testing.assert_close(span_loss(start, end, positions, positions, mask), expected)


def test_few_labels_give_the_loss_and_gradient_of_all_rows() -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(40, 7, generator=generator, dtype=torch.float64, requires_grad=True)
    labels = torch.randint(7, (40,), generator=generator)
    for labelled in (0, 1, 19, 20, 40):
        few = labels.masked_fill(torch.arange(40) >= labelled, IGNORED)
        assert (few_labelled_rows(few) is None) == (labelled >= 20)
        total = F.cross_entropy(logits, few, ignore_index=IGNORED, reduction="sum")
        for num_items, count in ((None, max(labelled, 1)), (30, 30)):
            loss = cross_entropy(logits, few, num_items)
            torch.testing.assert_close(loss, total / count)
            ours, truth = (torch.autograd.grad(x, logits, retain_graph=True) for x in (loss, total / count))
            torch.testing.assert_close(ours, truth)


def test_recorded_programs_take_all_rows() -> None:
    logits, labels = torch.randn(3, 10, 7), torch.full((3, 10), IGNORED)
    labels[:, 2] = 4
    rows = torch.func.vmap(cross_entropy)(logits, labels)
    for row, own, few in zip(rows, logits, labels, strict=True):
        torch.testing.assert_close(row, cross_entropy(own, few))
