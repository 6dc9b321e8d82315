"""What a task is: the layouts it reads, the examples a model sees, its answer and its metrics.

A task owns no loop, no loader, no device, no optimizer and no file. Training, evaluation and prediction know the table
of tasks and this interface only.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Generic, Protocol, TypeVar

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from nysformer.data.framing import Encoder, Tokens
from nysformer.data.reading import Layout
from nysformer.data.records import Record
from nysformer.models import NystromformerConfig, NystromformerPreTrainedModel
from nysformer.models.losses import IGNORED
from nysformer.tasks.reading import Reading

__all__ = ["Answer", "Encoding", "Example", "Measure", "Metric", "Task"]


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


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What the model says of one record; each task adds its fields.

    Attributes:
        source, line: the record's place.
        length, truncated, unknown: see `Encoding`.
    """

    source: str
    line: int | None
    length: int
    truncated: bool
    unknown: float

    def to_dict(self) -> dict[str, Any]:
        """As a line of JSON holds it: place, answer, length; numbers to six decimals."""
        return {
            "source": self.source,
            "line": self.line,
            **{name: _rounded(value) for name, value in self.fields().items() if value is not None},
            "length": self.length,
            "truncated": self.truncated,
            "unknown": _rounded(self.unknown),
        }

    def fields(self) -> dict[str, Any]:
        """The answer itself, as plain values; None where it does not apply."""
        raise NotImplementedError(type(self).__name__)


def _rounded(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _rounded(number) for name, number in value.items()}
    if isinstance(value, (list, tuple)):
        return [_rounded(item) for item in value]
    return round(value, 6) if isinstance(value, float) else value


AnswerT = TypeVar("AnswerT", bound=Answer)
EncodingT = TypeVar("EncodingT", bound=Encoding)
T = TypeVar("T", contravariant=True)


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
    layouts: ClassVar[tuple[Layout, ...]]
    """How a record may be written."""

    @classmethod
    def layouts_for(cls, options: Mapping[str, Any]) -> tuple[Layout, ...]:
        """How a record may be written under the task's options, which `from_records` takes, too."""
        return cls.layouts

    @property
    @abstractmethod
    def metrics(self) -> tuple[Metric, ...]:
        """What is measured; the first chooses the checkpoint."""

    @classmethod
    @abstractmethod
    def from_records(cls, records: Iterable[Record], options: Mapping[str, Any]) -> Task[AnswerT, EncodingT]:
        """The task of labelled records: their label set and what follows from it."""

    @classmethod
    @abstractmethod
    def from_config(cls, config: NystromformerConfig) -> Task[AnswerT, EncodingT]:
        """The task that a trained model was trained for."""

    def config_fields(self) -> dict[str, Any]:
        """What a model of this task writes into its configuration."""
        return {}

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
