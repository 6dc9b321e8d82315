"""The options of the demo, and its result."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nysformer.options import Number, Text, check_options, option, option_class, whole
from nysformer.training.settings import TrainingResult

if TYPE_CHECKING:
    from nysformer.tasks.sequence_classification import Prediction

__all__ = ["MODEL", "RIVALS", "VERSIONS_PER_GROUP", "DemoOptions", "DemoResult"]

MODEL = "nysformer"
RIVALS = {
    "TF-IDF, first 350 words": "TF-IDF + linear SVM on the first 350 words",
    "TF-IDF, whole text": "TF-IDF + linear SVM on the whole text",
}
# The largest group of versions is a third of the corpus: more of a group than this teaches the encoder little.
VERSIONS_PER_GROUP = 8


@option_class
@dataclass(frozen=True, slots=True, kw_only=True)
class DemoOptions:
    """The settings of the demo."""

    minutes: float = option(
        0.0,
        Number(0, 1_000_000),
        metavar="NUMBER",
        help="Train for so many minutes, the fit of the head at their beginning included; 0: fit the head alone.",
    )
    output: str = option("runs/demo", Text(), metavar="DIR", help="Folder for everything; it becomes a model folder.")
    seed: int = option(
        0,
        whole(0, 2**32 - 1),
        metavar="NUMBER",
        help="Of the split, the new head, the order of documents and dropout.",
    )

    def __post_init__(self) -> None:
        """Refuse values out of range.

        Raises:
            NysformerError: with the option, its value and the range it may have.
        """
        check_options(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoResult:
    """How the demo ended.

    Attributes:
        output: the model folder, with `metrics.json` and `report.html`.
        systems: name -> the result of `classification_metrics` on the test documents, baselines first.
        verdict: who won, in one sentence.
        example: the classified licence: what it is, and the answer.
        test_example: one test document, chosen by a rule: `document`, `label`, `predicted`, `probabilities`, `length`
            in tokens, `rule`, and `rival` with `rival_predicted`.
        training: see `TrainingResult`.
    """

    output: Path
    systems: Mapping[str, Mapping[str, Any]]
    verdict: str
    example: tuple[str, Prediction]
    test_example: Mapping[str, Any]
    training: TrainingResult
