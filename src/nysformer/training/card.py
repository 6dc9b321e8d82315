"""A run's model card: the documents it was trained on, by number and label, what it scored, and what it cannot do."""

from pathlib import Path
from typing import Any

from nysformer.checkpoints.card import write_card
from nysformer.models import NystromformerConfig, NystromformerForSequenceClassification
from nysformer.tasks.weaknesses import zero_f1

__all__ = ["CARD", "write_run_card"]

CARD = "README.md"


def write_run_card(folder: Path, run: dict[str, Any], metrics: dict[str, Any]) -> None:
    """Write the card of a finished run beside its model.

    Args:
        folder: the run folder, its model in place.
        run: as in `run.json`: options, versions, data.
        metrics: of the validation documents at the best checkpoint.
    """
    options, data = run["options"], run["data"]
    train, valid = data["train"], data["valid"]
    weakness = zero_f1(metrics)
    labels = ", ".join(f"{label} ({count:,})" for label, count in train["labels"].items())
    write_card(
        folder,
        NystromformerConfig.from_pretrained(folder),
        architecture=NystromformerForSequenceClassification.__name__,
        base_model=options["model"],
        training=[
            f"{train['documents']:,} documents, {train['tokens']:,} tokens; {train['truncated']:,} of them were cut to "
            f"{data['max_length']:,} tokens.",
            f"Labels: {labels}.",
            f"Chosen by {options['best_metric']} on {valid['documents']:,} validation documents, among checkpoints of "
            f"one run with seed {options['seed']}.",
        ],
        metrics=[(f"{name.replace('_', '-')}, validation", metrics[name]) for name in ("accuracy", "macro_f1", "loss")],
        limits=[
            *([weakness] if weakness else []),
            "Knows the labels above and no other: every document gets one of them.",
            "The validation documents chose the checkpoint, so its scores on them are somewhat too good; measure on "
            "others with `nysformer evaluate`.",
        ],
    )
