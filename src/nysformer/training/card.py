"""A run's model card: the documents it was trained on, by number and label, what it scored, and what it cannot do."""

from pathlib import Path
from typing import Any

from nysformer.checkpoints.card import write_card
from nysformer.models import NystromformerConfig
from nysformer.tasks.base import Task
from nysformer.tasks.registry import TASKS

__all__ = ["CARD", "write_run_card"]

CARD = "README.md"


def write_run_card(
    folder: Path, task: Task[Any, Any], run: dict[str, Any], metrics: dict[str, Any], *, last: bool = False
) -> None:
    """Write the card of a finished run beside its model.

    Args:
        folder: the run folder, its model in place.
        task: of the model.
        run: as in `run.json`: options, versions, data.
        metrics: of the validation documents at the checkpoint that is the model.
        last: that is the last one, whatever it measures; otherwise the best one.
    """
    options, data = run["options"], run["data"]
    train, valid = data["train"], data["valid"]
    labels = ", ".join(f"{label} ({count:,})" for label, count in train["labels"].items())
    adapted = run.get("adapted")
    chosen = (
        f"The last step of one run with seed {options['seed']}, measured on {valid['documents']:,} documents."
        if last
        else f"Chosen by {options['best_metric']} on {valid['documents']:,} validation documents, among checkpoints of "
        f"one run with seed {options['seed']}."
    )
    limit = (
        "The validation documents chose the checkpoint, so its scores on them are somewhat too good; measure on "
        f"others{' with `nysformer evaluate`' if task.name in TASKS else ''}."
    )
    write_card(
        folder,
        NystromformerConfig.from_pretrained(folder),
        architecture=task.model_class.__name__,
        base_model=options["model"],
        training=[
            f"{train['documents']:,} documents, {train['tokens']:,} tokens; {train['truncated']:,} of them were cut to "
            f"{data['max_length']:,} tokens.",
            *([f"Labels: {labels}."] if labels else []),
            *([_adaptation(adapted)] if adapted else []),
            chosen,
        ],
        metrics=[(f"{metric.title}, validation", metrics[metric.key]) for metric in task.metrics],
        limits=[
            *task.remarks(metrics),
            *task.limits(),
            *([] if last else [limit]),
        ],
    )


def _adaptation(adapted: dict[str, Any]) -> str:
    return (
        f"Before the fine-tuning, the encoder learned to predict masked words of the training documents: "
        f"{adapted['steps']:,} steps, {adapted['tokens']:,} tokens."
    )
