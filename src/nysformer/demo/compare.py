"""What the measured systems say when they are put side by side: a table and one honest sentence."""

from collections.abc import Mapping
from operator import attrgetter
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Table

from nysformer.tasks.labels import SINGLE_LABEL
from nysformer.tasks.sequence_classification import SequenceClassification

__all__ = ["METRICS", "comparison_table", "verdict"]

_METRICS = SequenceClassification((), SINGLE_LABEL).metrics
METRICS = tuple(sorted((metric for metric in _METRICS if metric.greater_is_better), key=attrgetter("key")))
"""What systems are compared by, the plainest first."""

Systems = Mapping[str, Mapping[str, Any]]


def comparison_table(systems: Systems, model: str) -> Table:
    """A table of all metrics, and of the first by length band; narrow enough for 80 columns.

    Args:
        systems: name -> the result of `classification_metrics`, all on the same documents.
        model: the name of the row to stand out.
    """
    bands = systems[model]["by_length"]
    first = METRICS[0]
    caption = f"on the right: {first.title} of the documents of so many tokens"
    table = Table(
        box=SIMPLE_HEAD, pad_edge=False, padding=0, show_footer=True, caption=caption, caption_justify="right"
    )
    table.add_column("", footer="documents", no_wrap=True)
    for metric in METRICS:
        footer = f"{systems[model]['documents']:,}" if metric is first else ""
        table.add_column(metric.title, footer=footer, justify="right")
    for band in bands:
        table.add_column(band["band"].replace("-", "-\n"), footer=f"{band['documents']:,}", justify="right")
    for name, metrics in systems.items():
        values = [metrics[metric.key] for metric in METRICS]
        values += [band[first.key] for band in metrics["by_length"]]
        table.add_row(name, *(f"{value:.3f}" for value in values), style="bold" if name == model else "")
    return table


def verdict(systems: Systems, model: str, rivals: Mapping[str, str]) -> str:
    """Say whether the model is ahead of its strongest rival, by each metric, whichever way it came out.

    Args:
        systems: as for `comparison_table`.
        model: the name of the system to judge.
        rivals: the names to judge it by -> what to call them in a sentence.
    """
    parts = []
    for metric in METRICS:
        key = metric.key
        rival = max(rivals, key=lambda name: systems[name][key])
        ours, theirs = (round(systems[name][key], 3) for name in (model, rival))
        place = "ahead of" if ours > theirs else "behind" if ours < theirs else "level with"
        parts.append(f"in {metric.title} {model} is {place} {rivals[rival]}: {ours:.3f} against {theirs:.3f}")
    sentence = "; ".join(parts)
    return f"{sentence[0].upper()}{sentence[1:]}."
