"""What a task is: the layouts it reads, the examples a model sees, its answer and its metrics.

A task owns no loop, no loader, no device, no optimizer and no file. Training, evaluation and prediction know the table
of tasks and this interface only.
"""

from __future__ import annotations

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Generic, Protocol, TypeAlias, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from transformers import PreTrainedTokenizerBase

from nysformer.data.framing import Encoder, Tokens
from nysformer.data.reading import Layout
from nysformer.data.records import Record
from nysformer.data.tables import Columns
from nysformer.errors import NysformerError
from nysformer.models import NystromformerConfig, NystromformerPreTrainedModel
from nysformer.models.losses import IGNORED
from nysformer.tasks.class_weights import ClassWeights
from nysformer.tasks.reading import Reading

__all__ = [
    "Answer",
    "Encoding",
    "Example",
    "LossFunction",
    "Measure",
    "Metric",
    "Task",
    "place_of",
    "softmax",
]

LossFunction: TypeAlias = Callable[..., Tensor]
"""(outputs, labels, num_items_in_batch=None) -> the loss, as transformers' Trainer calls it."""

_SHOWN = 200
_NAMED = 10


@dataclass(frozen=True, slots=True)
class Metric:
    """A number that `Measure.result` gives under `key`."""

    key: str
    title: str
    greater_is_better: bool = True


@dataclass(frozen=True, slots=True)
class Example:
    """What one forward pass reads: a record, or a window of it.

    Attributes:
        input_ids: token ids, special ones included; for multiple choice, one list per choice.
        token_type_ids: alike; None where all are 0.
        targets: the model's label arguments, such as {"labels": 3}; empty where the record has none.
    """

    input_ids: list[Any]
    token_type_ids: list[Any] | None = None
    targets: Mapping[str, Any] = field(default_factory=dict)

    @property
    def num_tokens(self) -> int:
        """What the example costs, for batches by token budget."""
        nested = self.input_ids and isinstance(self.input_ids[0], list)
        return sum(map(len, self.input_ids)) if nested else len(self.input_ids)


@dataclass(frozen=True, kw_only=True)
class Encoding:
    """A record as the model reads it.

    Attributes:
        examples: at least one.
        length: tokens of the document before any cut, special ones included.
        truncated: whether a token of it is not read.
        unknown: the share of its tokens that the vocabulary does not have, from 0 to 1.
    """

    examples: list[Example]
    length: int
    truncated: bool
    unknown: float


@dataclass(frozen=True, kw_only=True, repr=False)
class Answer(ABC):
    """What the model says of one record; each task adds its fields.

    Attributes:
        source, line: the record's place.
        length, truncated, unknown: see `Encoding`.
        columns: the other columns of the document's row, as they were read; not compared.
    """

    source: str
    line: int | None
    length: int
    truncated: bool
    unknown: float = 0.0
    columns: Mapping[str, object] = field(default_factory=dict, compare=False)

    @abstractmethod
    def fields(self, *, top_k: int | None = None) -> dict[str, Any]:
        """The answer itself, as plain values; None where it does not apply.

        Args:
            top_k: only that many ranked probabilities, the likeliest first; None for all, in the model's order.
        """

    def to_dict(self, *, top_k: int | None = None) -> dict[str, Any]:
        """As a line of JSON holds it: place, answer, length; numbers to six decimals, without `columns`.

        Args:
            top_k: see `fields`.
        """
        return {
            "source": self.source,
            "line": self.line,
            **{name: _rounded(value) for name, value in self.fields(top_k=top_k).items() if value is not None},
            "length": self.length,
            "truncated": self.truncated,
            "unknown": _rounded(self.unknown),
        }

    def __repr__(self) -> str:
        """The answer first, then its place; long texts and lists are cut."""
        place = self.source if self.line is None else f"{self.source}:{self.line}"
        shown = [f"{name}={_short(value)}" for name, value in self.fields(top_k=3).items() if value is not None]
        shown += [f"length={self.length}", *(["truncated=True"] if self.truncated else []), f"source={place!r}"]
        return f"{type(self).__name__}({', '.join(shown)})"


def _short(value: Any) -> str:
    text = repr(_rounded(value))
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 3]}..."


def _rounded(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _rounded(number) for name, number in value.items()}
    if isinstance(value, (list, tuple)):
        return [_rounded(item) for item in value]
    return round(value, 6) if isinstance(value, float) else value


AnswerT = TypeVar("AnswerT", bound=Answer)
EncodingT = TypeVar("EncodingT", bound=Encoding)


class Measure(Protocol):
    """Metrics gathered record by record; what it keeps per record is a few numbers."""

    def add(self, record: Record, encoding: Any, outputs: Sequence[Any], answer: Any) -> None:
        """Take one labelled record, its encoding, the model's outputs per example, and the answer."""

    def result(self) -> dict[str, Any]:
        """The metrics as plain numbers, `documents` and those of `Task.metrics` among them."""


class Task(ABC, Generic[AnswerT, EncodingT]):
    """One kind of question put to documents; an instance knows its labels."""

    name: ClassVar[str]
    """Also the name on the command line."""
    pipeline_tag: ClassVar[str]
    """The Hugging Face hub's name of it."""
    model_class: ClassVar[type[NystromformerPreTrainedModel]]
    head: ClassVar[str]
    """What the model's head is called in messages."""
    answer_columns: ClassVar[Columns]
    """What a flat row of an answer holds, for CSV and Parquet; lists and maps become JSON."""
    mistake_columns: ClassVar[Columns]
    """What `mistake` tells, beside the place and the length."""
    pools: ClassVar[bool] = False
    """Whether the head reads whole documents, by `NystromformerConfig.classifier_pooling`."""
    probes: ClassVar[bool] = False
    """Whether the head can be fitted to frozen features."""
    layouts: ClassVar[tuple[Layout, ...]]
    """How a record may be written."""

    @classmethod
    def layouts_for(cls, options: Mapping[str, Any]) -> tuple[Layout, ...]:
        """How a record may be written under the task's options, which `from_records` takes, too."""
        return cls.layouts

    @property
    def own_layouts(self) -> tuple[Layout, ...]:
        """How a record may be written for this task, whose labels are known."""
        return self.layouts

    @property
    @abstractmethod
    def metrics(self) -> tuple[Metric, ...]:
        """What is measured; the first chooses the checkpoint."""

    @classmethod
    @abstractmethod
    def from_records(
        cls,
        records: Iterable[Record],
        options: Mapping[str, Any],
        known: Task[Any, Any] | None = None,
        tokenizer: PreTrainedTokenizerBase | None = None,
    ) -> Task[AnswerT, EncodingT]:
        """The task of labelled records: their label set and what follows from it.

        Args:
            records: labelled; they are read once.
            options: settings of this kind of task, such as `problem_type`.
            known: the task of the model to begin with, where it is of this kind: the order of its labels is kept where
                the records have the same ones.
            tokenizer: of the model.

        Raises:
            NysformerError: records that no model can be trained on.
        """

    @classmethod
    @abstractmethod
    def from_config(
        cls, config: NystromformerConfig, tokenizer: PreTrainedTokenizerBase | None = None
    ) -> Task[AnswerT, EncodingT]:
        """The task that a trained model was trained for."""

    def config_fields(self) -> dict[str, Any]:
        """What a model of this task writes into its configuration. A head is kept where these are the same."""
        return {}

    def why_new_head(self, known: Task[Any, Any]) -> str | None:
        """Why the head of a model of the task `known` cannot be kept; None where it can.

        Args:
            known: of the same class.
        """
        if self.config_fields() == known.config_fields():
            return None
        return f"the model's labels are {_some(known.label_names)}; the documents have {_some(self.label_names)}"

    def prepare(self, model: NystromformerPreTrainedModel) -> None:
        """Begin with a new head: change its fresh weights where the labels ask for it."""

    def learning_rate_scales(self) -> Mapping[str, float]:
        """Factors on the learning rate, by parameter name."""
        return {}

    def loss_function(
        self, records: Iterable[Record], class_weights: ClassWeights | None = None
    ) -> LossFunction | None:
        """The training loss; None for the model's own.

        Args:
            records: of the training; they are read at most once.
            class_weights: how much more documents of rare labels weigh; None for not at all.

        Raises:
            NysformerError: `class_weights`, and the task has no classes.
        """
        if class_weights is not None:
            raise NysformerError(f"class_weights: {self.name} has no classes to weigh; leave it out")
        return None

    def stratum(self, record: Record) -> str:
        """Where documents are held out, each stratum gives its share."""
        return ""

    def categories(self, record: Record) -> Sequence[str]:
        """What a labelled record counts as in tables of the documents: its labels, for example."""
        return ()

    @property
    def label_names(self) -> Sequence[str]:
        """All that `categories` may give, in the order of the model's outputs."""
        return ()

    def remarks(self, metrics: Mapping[str, Any]) -> list[str]:
        """What the averages hide, a sentence each."""
        return []

    def limits(self) -> list[str]:
        """What a model of this task cannot do, a sentence each, for its card."""
        return []

    @abstractmethod
    def texts(self, record: Record) -> list[str]:
        """The record's texts that are tokenized, the document first."""

    @abstractmethod
    def encode(
        self, record: Record, tokens: Sequence[Tokens], encoder: Encoder, reading: Reading, *, labelled: bool
    ) -> EncodingT:
        """The record's examples, with targets where `labelled`.

        Args:
            record: labelled or not.
            tokens: of each of its `texts`, none of them empty.
            encoder: knows the special tokens.
            reading: how a document that does not fit is read.
            labelled: whether targets are wanted.

        Raises:
            NysformerError: a target that does not suit the document, with its place.
        """

    def target_bytes(self, examples: Sequence[Example]) -> bytes:
        """What a labelled document is to teach, in a few bytes, to know it again: a digest, or small whole numbers."""
        values = [value for example in examples for value in example.targets.values()]
        if all(isinstance(value, int) for value in values):
            return np.asarray(values, dtype=np.int64).tobytes()
        return hashlib.sha256(json.dumps(values).encode()).digest()

    def collate(
        self, examples: Sequence[Example], pad_token_id: int, rng: np.random.Generator | None = None
    ) -> dict[str, Tensor]:
        """A padded batch: the model's arguments. `rng` is for tasks that draw, seeded by (seed, epoch, batch)."""
        ids = [torch.tensor(example.input_ids) for example in examples]
        lengths = torch.tensor([len(one) for one in ids])
        padded = pad_sequence(ids, batch_first=True, padding_value=pad_token_id)
        batch = {"input_ids": padded, "attention_mask": (torch.arange(padded.shape[1]) < lengths[:, None]).long()}
        if any(example.token_type_ids is not None for example in examples):
            types = [torch.tensor(example.token_type_ids or [0] * len(example.input_ids)) for example in examples]
            batch["token_type_ids"] = pad_sequence(types, batch_first=True)
        for name in examples[0].targets:
            values = [torch.as_tensor(example.targets[name]) for example in examples]
            batch[name] = self._collate_targets(values)
        return batch

    def _collate_targets(self, values: list[Tensor]) -> Tensor:
        """A target per example, (B, ...), or one per token, (B, N), padded with what losses ignore."""
        if self.targets_per_token:
            return pad_sequence(values, batch_first=True, padding_value=IGNORED)
        return torch.stack(values)

    targets_per_token: ClassVar[bool] = False

    def outputs(self, output: Any, batch: Mapping[str, Tensor], examples: Sequence[Example]) -> list[Any]:
        """The model's output as float32 arrays on the CPU, one entry per example, without padding."""
        rows = output.logits.float().cpu().numpy()
        if not self.targets_per_token:
            return list(rows)
        return [row[: len(example.input_ids)] for row, example in zip(rows, examples, strict=True)]

    @abstractmethod
    def decode(self, record: Record, encoding: EncodingT, outputs: Sequence[Any]) -> AnswerT:
        """The answer, from the outputs of the record's examples."""

    @abstractmethod
    def measure(self) -> Measure:
        """An empty measure of this task."""

    @abstractmethod
    def mistake(self, record: Record, answer: AnswerT) -> dict[str, Any] | None:
        """What went wrong with a labelled record, with `mistake_columns`; None where the answer is right."""

    def flat_columns(self, *, top_k: int | None = None) -> Columns:
        """The columns of `flat`.

        Raises:
            NysformerError: `top_k`, and the answers have no ranked labels.
        """
        if top_k is not None:
            raise NysformerError(f"top_k: answers of {self.name} have no ranked labels; leave it out")
        return self.answer_columns

    def flat(self, answer: AnswerT, *, top_k: int | None = None) -> dict[str, Any]:
        """The answer as cells of `flat_columns`."""
        return {name: _rounded(value) for name, value in answer.fields(top_k=top_k).items()}


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:_NAMED]) + (", ..." if len(names) > _NAMED else "")


def place_of(record: Record, encoding: Encoding) -> dict[str, Any]:
    """What every answer says of its record, as arguments of its class."""
    return {
        "source": record.source,
        "line": record.line,
        "length": encoding.length,
        "truncated": encoding.truncated,
        "unknown": encoding.unknown,
        "columns": record.columns,
    }


def softmax(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Along the last axis, in float32."""
    shifted = np.exp(logits - logits.max(axis=-1, keepdims=True))
    shares: NDArray[np.float32] = shifted / shifted.sum(axis=-1, keepdims=True)
    return shares
