"""What a run says of its documents before it trains."""

from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from nysformer.data.reader import ReadLog
from nysformer.training.corpus import Corpus

__all__ = ["announce", "label_table_of"]

_MOST_ROWS = 30
_PARTS = {"train": "training", "valid": "validation"}


def announce(console: Console, corpus: Corpus, logs: Mapping[str, ReadLog], notes: Sequence[str]) -> None:
    """Print the sizes of both parts, what reading them met, the labels and their documents, and notes on the model.

    Args:
        console: where to.
        corpus: the documents.
        logs: what reading "train" and "valid" met: files that were skipped, labels that got another spelling.
        notes: on the model, line by line, such as why its head is new.
    """

    def say(line: str) -> None:
        console.print(line, markup=False, highlight=False, soft_wrap=True)

    for line in corpus.summary():
        say(line)
    for part, log in logs.items():
        for line in log.lines():
            say(f"{_PARTS[part]}: {line}")
    labels = corpus.task.label_names
    if labels:
        console.print(label_table_of(corpus))
    if len(labels) > _MOST_ROWS:
        say(f"and {len(labels) - _MOST_ROWS:,} more labels")
    for line in notes:
        say(line)


def label_table_of(corpus: Corpus) -> Table:
    """The labels in the order of the model's outputs, with their training and validation documents; at most 30."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("label", overflow="ellipsis", no_wrap=True)
    for heading in _PARTS.values():
        table.add_column(heading, justify="right")
    for label in corpus.task.label_names[:_MOST_ROWS]:
        table.add_row(Text(label), *(f"{corpus.parts[part].labels[label]:,}" for part in _PARTS))
    return table
