import io
from typing import Any

import pytest
import torch
from rich.console import Console

from nysformer.cli.tables import metric_line, metric_tables, reading_table
from nysformer.tasks.base import Metric
from nysformer.tasks.metrics import classification_metrics, multi_label_metrics, regression_metrics

ABOUT = {"max_length": 512, "truncated": 1}


def printed(metrics: dict[str, Any], shown: list[Metric], width: int = 100) -> str:
    console = Console(file=io.StringIO(), width=width)
    for table in metric_tables(metrics | ABOUT, shown, width):
        console.print(table)
    return console.file.getvalue()


def test_single_labels_have_classes_lengths_and_confusions() -> None:
    logits, targets = torch.tensor([[2.0, 0.0], [0.0, 3.0], [1.0, 0.0]]), torch.tensor([0, 1, 1])
    text = printed(
        classification_metrics(logits, targets, [10, 600, 30], ["ham", "spam"]),
        [Metric("accuracy", "accuracy"), Metric("macro_f1", "macro-F1")],
    )
    for words in (
        "macro-F1",
        "cut at 512 tokens",
        "513-1024",
        "precision",
        "recall",
        "F1",
        "1 ham",
        "2 spam",
        "rows: class",
    ):
        assert words in text, words


def test_several_labels_and_numbers() -> None:
    logits, targets = torch.tensor([[2.0, -1.0], [-3.0, -4.0]]), torch.tensor([[1, 0], [1, 0]])
    text = printed(multi_label_metrics(logits, targets, [10, 20], ["new", "old"]), [Metric("micro_f1", "micro-F1")])
    assert "average precision" in text
    assert " - " in text, "no precision of a label that no document has"
    text = printed(regression_metrics(torch.tensor([[1.0], [3.0]]), torch.tensor([1.0, 2.0]), [5, 5], ["value"]), [])
    assert "rmse" in text


@pytest.mark.parametrize("width", [40, 80, 120])
def test_readings_fit_a_terminal(width: int) -> None:
    row = {"accuracy": 0.5, "truncated": 3, "documents_per_second": 1234.5}
    console = Console(file=io.StringIO(), width=width)
    console.print(reading_table({"whole": row, "key-sentences": row}, [Metric("accuracy", "accuracy")], width))
    text = console.file.getvalue()
    assert "key-sentences" in text
    assert "1,234.5" in text
    assert max(map(len, text.splitlines())) <= width


def test_metrics_on_a_line() -> None:
    metrics = {"f1": 0.5, "documents": 1200, "perplexity": 1234.5}
    assert metric_line(metrics, {"f1": "F1", "documents": "documents"}) == "F1 0.500  documents 1,200"
