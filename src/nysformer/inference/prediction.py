"""What a classifier says of one document: its logits, and the prediction made of them. Shapes: C labels."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from nysformer.data.records import Record

__all__ = ["Prediction", "Scored"]


@dataclass(frozen=True, slots=True)
class Scored:
    """A document and the model's answer to it.

    Attributes:
        document: as it was read.
        logits: (C,) float32, on the CPU.
        length: in tokens before any cut.
        truncated: whether it was cut.
        unknown: share of unknown tokens among those that the model read, from 0 to 1.
    """

    document: Record
    logits: Tensor
    length: int
    truncated: bool
    unknown: float = 0.0


@dataclass(frozen=True, slots=True)
class Prediction:
    """What the model says of one document.

    Which of three it holds depends on the model's problem type: `label` for a single label, `labels` for several, or
    `value` for regression.

    Attributes:
        source: the file, or "document".
        line: from 1; None where the whole file is the document.
        label: the likeliest label.
        labels: those of probability 0.5 or more.
        value: a number, or {name: number} for several outputs.
        probabilities: by label, in the model's order: they sum to 1 for a single label, each stands alone for several.
        length: in tokens before any cut.
        truncated: whether the document was cut.
        unknown: share of unknown tokens among those that the model read, from 0 to 1; above a half the vocabulary
            lacks the document's script or language, and the answer says little.
        columns: the other columns of the document's row, as they were read.
    """

    source: str
    line: int | None
    label: str | None
    labels: tuple[str, ...] | None
    value: float | dict[str, float] | None
    probabilities: dict[str, float] | None
    length: int
    truncated: bool
    unknown: float = 0.0
    columns: Mapping[str, object] = field(default_factory=dict)

    def to_dict(self, *, top_k: int | None = None) -> dict[str, Any]:
        """As a line of JSON holds it: numbers to six decimals, without `columns` and the fields that do not apply.

        Args:
            top_k: only that many probabilities, the likeliest first; None: all, in the model's order.
        """
        shown = self.probabilities
        if shown is not None and top_k is not None:
            shown = dict(sorted(shown.items(), key=lambda item: -item[1])[:top_k])
        answer = {"label": self.label, "labels": self.labels, "value": self.value, "probabilities": shown}
        return {
            "source": self.source,
            "line": self.line,
            **{name: _rounded(value) for name, value in answer.items() if value is not None},
            "length": self.length,
            "truncated": self.truncated,
            "unknown": _rounded(self.unknown),
        }


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: round(number, 6) for name, number in value.items()}
    return round(value, 6) if isinstance(value, float) else value
