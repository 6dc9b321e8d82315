"""Label whole documents: one label of several, any number of labels, or a number.

Shapes: C outputs of the model.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from transformers import PreTrainedTokenizerBase

from nysformer.data.framing import Encoder, Tokens
from nysformer.data.labels import UnusableLabel, check_case, normal_label
from nysformer.data.reading import Column, Layout
from nysformer.data.records import Record, shown
from nysformer.data.tables import Columns
from nysformer.errors import NysformerError
from nysformer.models import (
    NystromformerConfig,
    NystromformerForSequenceClassification,
    NystromformerPreTrainedModel,
)
from nysformer.models.labels import check_labels
from nysformer.tasks.base import (
    Answer,
    Encoding,
    Example,
    LossFunction,
    Metric,
    Task,
    place_of,
    softmax,
)
from nysformer.tasks.class_weights import ClassWeights, label_weights, positive_weights
from nysformer.tasks.labels import MULTI_LABEL, PROBLEM_TYPES, REGRESSION, SINGLE_LABEL, ProblemType, label_reader
from nysformer.tasks.pieces import cut, tokens_read
from nysformer.tasks.reading import Reading
from nysformer.tasks.weaknesses import zero_f1

__all__ = ["MULTI_LABEL_THRESHOLD", "Prediction", "SequenceClassification"]

MULTI_LABEL_THRESHOLD = 0.5

_SHOWN = 10


@dataclass(frozen=True, kw_only=True, repr=False)
class Prediction(Answer):
    """What the model says of one document.

    Which of three it holds depends on the model's problem type: `label` for a single label, `labels` for several, or
    `value` for regression.

    Attributes:
        label: the likeliest label.
        labels: those of probability 0.5 or more.
        value: a number, or {name: number} for several outputs.
        probabilities: by label, in the model's order: they sum to 1 for a single label, each stands alone for several.
        unknown: above a half, the vocabulary lacks the document's script or language, and the answer says little.
    """

    label: str | None = None
    labels: tuple[str, ...] | None = None
    value: float | dict[str, float] | None = None
    probabilities: dict[str, float] | None = None

    def fields(self, *, top_k: int | None = None) -> dict[str, Any]:
        shown = self.probabilities
        if shown is not None and top_k is not None:
            shown = dict(sorted(shown.items(), key=lambda item: -item[1])[:top_k])
        labels = None if self.labels is None else list(self.labels)
        return {"label": self.label, "labels": labels, "value": self.value, "probabilities": shown}


def _asked(options: Mapping[str, Any]) -> ProblemType | None:
    asked: ProblemType | None = options.get("problem_type")
    if asked not in (None, *PROBLEM_TYPES):
        raise NysformerError(f"problem_type: {asked!r} is unknown; choose {', '.join(PROBLEM_TYPES)}")
    return asked


def _layout(problem_type: ProblemType | None) -> Layout:
    label = Column("label", "its label, a list of labels, or a number", parse=label_reader(problem_type))
    return Layout(Column("text", "the document"), label)


class SequenceClassification(Task[Prediction, Encoding]):
    """Label whole documents.

    Args:
        labels: the names of the model's C outputs; ("value",) for regression.
        problem_type: one of transformers' three.
        center, spread: of the training documents' numbers, for regression.
    """

    name = "sequence-classification"
    pipeline_tag = "text-classification"
    model_class = NystromformerForSequenceClassification
    head = "classification"
    pools = True
    probes = True
    layouts = (_layout(None),)
    answer_columns: ClassVar[Columns] = {
        "label": "text",
        "labels": "text",
        "value": "number",
        "probabilities": "text",
    }

    @classmethod
    def layouts_for(cls, options: Mapping[str, Any]) -> tuple[Layout, ...]:
        """See `Task.layouts_for`.

        Args:
            options: `problem_type`, see `from_records`.

        Raises:
            NysformerError: an unknown problem type.
        """
        return (_layout(_asked(options)),)

    @property
    def own_layouts(self) -> tuple[Layout, ...]:
        return (_layout(self.problem_type),)

    def __init__(
        self, labels: Sequence[str], problem_type: ProblemType, *, center: float = 0.0, spread: float = 1.0
    ) -> None:
        self.labels = list(labels)
        self.problem_type = problem_type
        self.center, self.spread = center, spread
        # A model from elsewhere may spell its labels in another way than documents' are read.
        self._index = {_normal(name): number for number, name in enumerate(self.labels)}
        self._index |= {name: number for number, name in enumerate(self.labels)}

    @property
    def metrics(self) -> tuple[Metric, ...]:
        if self.problem_type == REGRESSION:
            return (
                Metric("rmse", "RMSE", greater_is_better=False),
                Metric("mae", "mean absolute error", greater_is_better=False),
                Metric("spearman", "Spearman's rho"),
            )
        loss = Metric("loss", "loss", greater_is_better=False)
        if self.problem_type == MULTI_LABEL:
            return (
                Metric("micro_f1", "micro-F1"),
                Metric("macro_f1", "macro-F1"),
                Metric("average_precision", "average precision"),
                loss,
            )
        return (Metric("macro_f1", "macro-F1"), Metric("accuracy", "accuracy"), loss)

    @classmethod
    def from_records(
        cls,
        records: Iterable[Record],
        options: Mapping[str, Any],
        known: Task[Any, Any] | None = None,
        tokenizer: PreTrainedTokenizerBase | None = None,
    ) -> SequenceClassification:
        """See `Task.from_records`.

        Args:
            options: `problem_type`, or None to go by the labels: a list makes it several labels, a number with a
                fraction a regression, anything else a single label.
        """
        asked = _asked(options)
        names: Counter[str] = Counter()
        values: list[float] = []
        kinds: dict[ProblemType, Record] = {}
        for record in records:
            label = record.label
            kind: ProblemType = (
                MULTI_LABEL if isinstance(label, tuple) else REGRESSION if isinstance(label, float) else SINGLE_LABEL
            )
            kinds.setdefault(kind, record)
            names.update(label if isinstance(label, tuple) else [str(label)])
            if kind is not MULTI_LABEL and (number := _as_number(label)) is not None:
                values.append(number)
        problem = asked or _problem_of(kinds, numbers_only=len(values) == sum(names.values()))
        if problem == REGRESSION:
            if not values:
                raise NysformerError("label: no document has a number, as regression needs")
            return cls(["value"], problem, center=float(np.mean(values)), spread=float(np.std(values)) or 1.0)
        check_case(names)
        if len(names) < 2:
            raise NysformerError(
                f"train: every document has the same label ({next(iter(names), 'none')}); give at least two labels, "
                "and where folders further down are the labels, name the folder that holds those, or "
                "label_from='parent'"
            )
        labels = sorted(names, key=int) if all(map(_is_integer, names)) else sorted(names)
        if isinstance(known, SequenceClassification) and set(map(_normal, known.labels)) == set(labels):
            labels = list(map(_normal, known.labels))
        return cls(labels, problem)

    @classmethod
    def from_config(
        cls, config: NystromformerConfig, tokenizer: PreTrainedTokenizerBase | None = None
    ) -> SequenceClassification:
        check_labels(config.id2label)
        labels = [config.id2label[index] for index in range(config.num_labels)]
        return cls(labels, config.problem_type or (REGRESSION if config.num_labels == 1 else SINGLE_LABEL))

    def config_fields(self) -> dict[str, Any]:
        return {
            "id2label": dict(enumerate(self.labels)),
            "label2id": {name: index for index, name in enumerate(self.labels)},
            "problem_type": self.problem_type,
        }

    def why_new_head(self, known: Task[Any, Any]) -> str | None:
        assert isinstance(known, SequenceClassification)
        if known.problem_type != self.problem_type:
            return f"the model's head is for {known.problem_type.replace('_', ' ')}"
        same = self.problem_type == REGRESSION or list(map(_normal, known.labels)) == self.labels
        return None if same and len(known.labels) == len(self.labels) else super().why_new_head(known)

    def prepare(self, model: NystromformerPreTrainedModel) -> None:
        """Begin a regression at the mean of the documents' numbers, in steps of their spread."""
        if self.problem_type == REGRESSION:
            head: nn.Linear = model.classifier.out_proj
            with torch.no_grad():
                head.weight *= self.spread
                head.bias.fill_(self.center)

    def learning_rate_scales(self) -> Mapping[str, float]:
        """The last layer's weights are as large as the numbers are, and so are their steps."""
        if self.problem_type != REGRESSION:
            return {}
        return dict.fromkeys(("classifier.out_proj.weight", "classifier.out_proj.bias"), self.spread)

    def loss_function(
        self, records: Iterable[Record], class_weights: ClassWeights | None = None
    ) -> LossFunction | None:
        if self.problem_type == REGRESSION:
            if class_weights is not None:
                raise NysformerError("class_weights: a regression has no classes to weigh; leave it out")
            return self._standardized_loss
        if class_weights is None:
            return None
        documents, counts = 0, np.zeros(len(self.labels), dtype=np.int64)
        for record in records:
            documents += 1
            for number in self._numbers(record):
                counts[number] += 1
        if self.problem_type == MULTI_LABEL:
            positive = torch.tensor(positive_weights(counts, documents, class_weights), dtype=torch.float32)
            return _loss(
                lambda logits, labels: nn.functional.binary_cross_entropy_with_logits(
                    logits, labels, pos_weight=positive.to(labels.device)
                )
            )
        weights = torch.tensor(label_weights(counts, class_weights), dtype=torch.float32)
        return _loss(
            lambda logits, labels: nn.functional.cross_entropy(logits, labels, weight=weights.to(labels.device))
        )

    def _standardized_loss(self, outputs: Any, labels: Tensor, num_items_in_batch: Any = None) -> Tensor:
        return (((outputs.logits.float().squeeze(-1) - labels) / self.spread) ** 2).mean()

    def stratum(self, record: Record) -> str:
        return self.categories(record)[0] if self.problem_type == SINGLE_LABEL else ""

    def categories(self, record: Record) -> Sequence[str]:
        return () if self.problem_type == REGRESSION else [self.labels[number] for number in self._numbers(record)]

    @property
    def label_names(self) -> Sequence[str]:
        return () if self.problem_type == REGRESSION else self.labels

    def remarks(self, metrics: Mapping[str, Any]) -> list[str]:
        weakness = zero_f1(metrics) if "per_class" in metrics else None
        return [] if weakness is None else [weakness]

    def limits(self) -> list[str]:
        if self.problem_type == SINGLE_LABEL:
            return ["Knows the labels above and no other: every document gets one of them."]
        return ["Knows the labels above and no other."] if self.problem_type == MULTI_LABEL else []

    def texts(self, record: Record) -> list[str]:
        return [record.text]

    def encode(
        self, record: Record, tokens: Sequence[Tokens], encoder: Encoder, reading: Reading, *, labelled: bool
    ) -> Encoding:
        (document,) = tokens
        frame = encoder.frame()
        pieces = cut(record.text, document, frame, reading, encoder.max_length)
        targets = {"labels": self._target(record)} if labelled else {}
        return Encoding(
            examples=[Example(piece.input_ids, piece.token_type_ids, targets) for piece in pieces],
            length=frame.length(document.ids),
            truncated=tokens_read(pieces) < len(document.ids),
            unknown=document.unknown,
        )

    def _target(self, record: Record) -> int | float | list[float]:
        if self.problem_type == REGRESSION:
            return self._number(record)
        numbers = self._numbers(record)
        if self.problem_type == SINGLE_LABEL:
            return numbers[0]
        present = np.zeros(len(self.labels))
        present[numbers] = 1.0
        return present.tolist()

    def _number(self, record: Record) -> float:
        number = _as_number(record.label)
        if number is None:
            raise NysformerError(
                f"{shown(record.place)}: the label {record.label!r} is not a number, as regression needs; fix or "
                "remove the document"
            )
        return number

    def _numbers(self, record: Record) -> list[int]:
        """The indices of a record's labels: one of them, unless it may have several."""
        label = record.label
        if self.problem_type == SINGLE_LABEL and isinstance(label, tuple):
            raise NysformerError(
                f"{shown(record.place)}: a list of labels, but the model gives each document one; give one label, or "
                "train for several with problem_type='multi_label_classification'"
            )
        names = label if isinstance(label, tuple) else (str(label),)
        unknown = next((name for name in names if name not in self._index), None)
        if unknown is not None:
            known = ", ".join(self.labels[:_SHOWN]) + (", ..." if len(self.labels) > _SHOWN else "")
            same = next((name for name in self.labels if name.casefold() == unknown.casefold()), None)
            meant = f"; {same!r} differs only in case" if same is not None else ""
            raise NysformerError(
                f"{shown(record.place)}: the label {unknown!r} is none of those the model is trained on "
                f"({known}){meant}; fix the label, remove the document or add training documents for it"
            )
        return [self._index[name] for name in names]

    def decode(self, record: Record, encoding: Encoding, outputs: Sequence[NDArray[np.float32]]) -> Prediction:
        logits = _mean(outputs)
        place = place_of(record, encoding)
        if self.problem_type == REGRESSION:
            values = dict(zip(self.labels, logits.tolist(), strict=True))
            return Prediction(**place, value=next(iter(values.values())) if len(values) == 1 else values)
        if self.problem_type == MULTI_LABEL:
            shares = dict(zip(self.labels, torch.from_numpy(logits).sigmoid().tolist(), strict=True))
            found = tuple(name for name, share in shares.items() if share >= MULTI_LABEL_THRESHOLD)
            return Prediction(**place, labels=found, probabilities=shares)
        shares = dict(zip(self.labels, softmax(logits).tolist(), strict=True))
        return Prediction(**place, label=self.labels[int(logits.argmax())], probabilities=shares)

    def measure(self) -> LabelMeasure:
        return LabelMeasure(self)

    @property
    def mistake_columns(self) -> Columns:  # type: ignore[override]  # by problem type
        if self.problem_type == REGRESSION:
            return {"label": "number", "predicted": "number", "error": "number"}
        if self.problem_type == MULTI_LABEL:
            return {"label": "text", "predicted": "text"}
        return {"label": "text", "predicted": "text", "probability": "number"}

    def mistake(self, record: Record, answer: Prediction) -> dict[str, Any] | None:
        if self.problem_type == REGRESSION:
            truth, predicted = self._number(record), _only(answer.value)
            return {"label": truth, "predicted": round(predicted, 6), "error": round(predicted - truth, 6)}
        names = [self.labels[number] for number in self._numbers(record)]
        if self.problem_type == MULTI_LABEL:
            given = list(answer.labels or ())
            return None if set(given) == set(names) else {"label": names, "predicted": given}
        assert answer.label is not None
        assert answer.probabilities is not None
        if answer.label == names[0]:
            return None
        share = round(answer.probabilities[answer.label], 6)
        return {"label": names[0], "predicted": answer.label, "probability": share}

    def flat_columns(self, *, top_k: int | None = None) -> Columns:
        if self.problem_type == REGRESSION:
            if top_k is not None:
                raise NysformerError("top_k: a model for regression has no probabilities; leave it out")
            return dict.fromkeys(self._values(), "number")
        columns: dict[str, Any] = {"labels" if self.problem_type == MULTI_LABEL else "label": "text"}
        for rank in range(1, 1 + min(top_k or 0, len(self.labels))):
            columns |= {f"label_{rank}": "text", f"probability_{rank}": "number"}
        return columns if top_k else columns | {f"probability_{name}": "number" for name in self.labels}

    def _values(self) -> list[str]:
        return ["value"] if len(self.labels) == 1 else [f"value_{name}" for name in self.labels]

    def flat(self, answer: Prediction, *, top_k: int | None = None) -> dict[str, Any]:
        row = super().flat(answer, top_k=top_k)
        probabilities = row.pop("probabilities") or {}
        if top_k is None:
            row |= {f"probability_{name}": share for name, share in probabilities.items()}
        else:
            for rank, (name, share) in enumerate(probabilities.items(), start=1):
                row |= {f"label_{rank}": name, f"probability_{rank}": share}
        if isinstance(row.get("value"), dict):
            row |= {f"value_{name}": number for name, number in row["value"].items()}
        return row


class LabelMeasure:
    """The logits and labels of all documents, and metrics of them."""

    def __init__(self, task: SequenceClassification) -> None:
        self.task = task
        self.logits: list[NDArray[np.float32]] = []
        self.targets: list[Any] = []
        self.lengths: list[int] = []

    def add(
        self, record: Record, encoding: Encoding, outputs: Sequence[NDArray[np.float32]], answer: Prediction
    ) -> None:
        self.logits.append(_mean(outputs))
        self.targets.append(self.task._target(record))
        self.lengths.append(encoding.length)

    def result(self) -> dict[str, Any]:
        # scikit-learn is there where models are measured, not where they only answer.
        from nysformer.tasks.metrics import measure_labels

        if not self.logits:
            raise NysformerError("metrics: there are no documents; give at least one")
        logits, targets = torch.from_numpy(np.stack(self.logits)), torch.tensor(self.targets)
        return measure_labels(self.task.problem_type, logits, targets, self.lengths, self.task.labels)


def _loss(function: Callable[[Tensor, Tensor], Tensor]) -> LossFunction:
    """As the trainer calls it."""

    def loss(outputs: Any, labels: Tensor, num_items_in_batch: Any = None) -> Tensor:
        return function(outputs.logits.float(), labels)

    return loss


def _mean(outputs: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
    """(C,) logits of a document: the mean over its pieces."""
    return outputs[0] if len(outputs) == 1 else np.mean(outputs, axis=0)


def _only(value: float | Mapping[str, float] | None) -> float:
    if not isinstance(value, float):
        raise NysformerError("a model with several numbers cannot be measured; give one with a single output")
    return value


def _as_number(label: object) -> float | None:
    try:
        return None if isinstance(label, tuple) else float(label)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return None


def _problem_of(kinds: Mapping[ProblemType, Record], *, numbers_only: bool) -> ProblemType:
    if set(kinds) == {SINGLE_LABEL, REGRESSION} and numbers_only:
        return REGRESSION
    if len(kinds) > 1:
        places = " and ".join(shown(record.place) for record in kinds.values())
        raise NysformerError(
            f"label: labels of different kinds, at {places}; give names, lists of names, or numbers, or say which is "
            "meant with problem_type"
        )
    return next(iter(kinds), SINGLE_LABEL)


def _is_integer(name: str) -> bool:
    return name.removeprefix("-").isdecimal()


def _normal(name: str) -> str:
    try:
        return normal_label(name)
    except UnusableLabel:
        return name
