"""What the measured systems say when they are put side by side: a table and one honest sentence."""

from collections.abc import Mapping
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Table

__all__ = ["comparison_table", "verdict"]

Systems = Mapping[str, Mapping[str, Any]]


def comparison_table(systems: Systems, model: str) -> Table:
    """A table of accuracy and macro-F1, and of accuracy by length band; narrow enough for 80 columns.

    Args:
        systems: name -> the result of `classification_metrics`, all on the same documents.
        model: the name of the row to stand out.
    """
    bands = systems[model]["by_length"]
    caption = "on the right: accuracy of the documents of so many tokens"
    table = Table(
        box=SIMPLE_HEAD, pad_edge=False, padding=0, show_footer=True, caption=caption, caption_justify="right"
    )
    table.add_column("", footer="documents", no_wrap=True)
    table.add_column("accuracy", footer=f"{systems[model]['documents']:,}", justify="right")
    table.add_column("macro-F1", justify="right")
    for band in bands:
        table.add_column(band["band"].replace("-", "-\n"), footer=f"{band['documents']:,}", justify="right")
    for name, metrics in systems.items():
        values = [metrics["accuracy"], metrics["macro_f1"], *(band["accuracy"] for band in metrics["by_length"])]
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
    for metric, word in (("accuracy", "accuracy"), ("macro_f1", "macro-F1")):
        rival = max(rivals, key=lambda name: systems[name][metric])
        ours, theirs = (round(systems[name][metric], 3) for name in (model, rival))
        place = "ahead of" if ours > theirs else "behind" if ours < theirs else "level with"
        parts.append(f"in {word} {model} is {place} {rivals[rival]}: {ours:.3f} against {theirs:.3f}")
    sentence = "; ".join(parts)
    return f"{sentence[0].upper()}{sentence[1:]}."
