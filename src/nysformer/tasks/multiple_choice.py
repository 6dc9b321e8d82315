"""Choose among given continuations of, or statements about, a document.

Shapes: C choices of a record.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from nysformer.data.framing import Encoder, Tokens
from nysformer.data.labels import UnusableLabel, normal_label
from nysformer.data.reading import Column, Layout
from nysformer.data.records import Record
from nysformer.data.tables import Columns
from nysformer.data.values import UnusableValue, text_list
from nysformer.errors import NysformerError
from nysformer.models import NystromformerConfig, NystromformerForMultipleChoice
from nysformer.tasks.base import Answer, Encoding, Example, Metric, Task, place_of, softmax
from nysformer.tasks.pieces import cut, tokens_read
from nysformer.tasks.reading import Reading

__all__ = ["Choice", "MultipleChoice"]


@dataclass(frozen=True, kw_only=True, repr=False)
class Choice(Answer):
    """The choice for one record: its text, its index from 0, and the probability of each choice, in their order."""

    choice: str
    index: int
    probabilities: tuple[float, ...]

    def fields(self, *, top_k: int | None = None) -> dict[str, Any]:
        return {"choice": self.choice, "index": self.index, "probabilities": list(self.probabilities)}


def _texts(value: object) -> tuple[str, ...]:
    choices = text_list(value)
    if len(choices) < 2:
        raise UnusableValue(f"a list of length {len(choices)}; give two or more texts")
    blank = next((number for number, choice in enumerate(choices, start=1) if not choice.strip()), None)
    if blank is not None:
        raise UnusableValue(f"item {blank} is empty; give two or more texts")
    return choices


def _index(value: object) -> int:
    name = normal_label(value)
    if not name.isdecimal():
        raise UnusableLabel(f"the label {value!r} is not the index of a choice, 0 or more")
    return int(name)


class MultipleChoice(Task[Choice, Encoding]):
    """Pick one of several choices for a document."""

    name = "multiple-choice"
    pipeline_tag = "multiple-choice"
    model_class = NystromformerForMultipleChoice
    head = "multiple choice"
    pools = True
    layouts = (
        Layout(
            Column("context", "the document"),
            Column("label", "index of the right choice, from 0", parse=_index),
            (Column("choices", "list of texts, at least two", parse=_texts, nested=True),),
        ),
    )
    answer_columns: ClassVar[Columns] = {"choice": "text", "index": "whole", "probabilities": "text"}
    mistake_columns: ClassVar[Columns] = {"label": "text", "predicted": "text", "probability": "number"}

    @property
    def metrics(self) -> tuple[Metric, ...]:
        return (Metric("accuracy", "accuracy"), Metric("loss", "loss", greater_is_better=False))

    @classmethod
    def from_records(
        cls,
        records: Iterable[Record],
        options: Mapping[str, Any],
        known: Task[Any, Any] | None = None,
        tokenizer: PreTrainedTokenizerBase | None = None,
    ) -> MultipleChoice:
        first: tuple[int, str] | None = None
        for record in records:
            count = len(_choices(record))
            if first is not None and first[0] != count:
                raise NysformerError(
                    f"{record.place}: {count} choices, but {first[1]} has {first[0]}; train on one number of choices"
                )
            first = first or (count, record.place)
        return cls()

    @classmethod
    def from_config(
        cls, config: NystromformerConfig, tokenizer: PreTrainedTokenizerBase | None = None
    ) -> MultipleChoice:
        return cls()

    def texts(self, record: Record) -> list[str]:
        return [record.text, *_choices(record)]

    def encode(
        self, record: Record, tokens: Sequence[Tokens], encoder: Encoder, reading: Reading, *, labelled: bool
    ) -> Encoding:
        document, *choices = tokens
        frames = [encoder.frame(choice.ids, document_first=True) for choice in choices]
        longest = max(frames, key=len)
        # Every choice is read with the same parts of the document.
        pieces = cut(record.text, document, longest, reading, encoder.max_length)
        targets = {"labels": _label(record, len(choices))} if labelled else {}
        examples = []
        for piece in pieces:
            rows = [frame.around([document.ids[i] for i in piece.tokens.tolist()]) for frame in frames]
            types = [types for _, types in rows]
            flat = any(any(row) for row in types)
            examples.append(Example([ids for ids, _ in rows], types if flat else None, targets))
        return Encoding(
            examples=examples,
            length=longest.length(document.ids),
            truncated=tokens_read(pieces) < len(document.ids),
            unknown=document.unknown,
        )

    def collate(
        self, examples: Sequence[Example], pad_token_id: int, rng: np.random.Generator | None = None
    ) -> dict[str, Tensor]:
        """(B, C, N) ids, masks and types; a record with fewer choices gets masked rows, which `outputs` drops."""
        choices = max(len(example.input_ids) for example in examples)
        length = max(len(row) for example in examples for row in example.input_ids)
        shape = (len(examples), choices, length)
        ids = np.full(shape, pad_token_id, dtype=np.int64)
        mask, types = np.zeros(shape, dtype=np.int64), np.zeros(shape, dtype=np.int64)
        for i, example in enumerate(examples):
            for j, row in enumerate(example.input_ids):
                ids[i, j, : len(row)] = row
                mask[i, j, : len(row)] = 1
                if example.token_type_ids is not None:
                    types[i, j, : len(row)] = example.token_type_ids[j]
        batch = {"input_ids": torch.from_numpy(ids), "attention_mask": torch.from_numpy(mask)}
        if any(example.token_type_ids is not None for example in examples):
            batch["token_type_ids"] = torch.from_numpy(types)
        if examples[0].targets:
            batch["labels"] = torch.tensor([example.targets["labels"] for example in examples])
        return batch

    def outputs(self, output: Any, batch: Mapping[str, Tensor], examples: Sequence[Example]) -> list[Any]:
        rows = output.logits.float().cpu().numpy()
        return [row[: len(example.input_ids)] for row, example in zip(rows, examples, strict=True)]

    def decode(self, record: Record, encoding: Encoding, outputs: Sequence[NDArray[np.float32]]) -> Choice:
        probabilities = softmax(np.mean(outputs, axis=0))
        index = int(probabilities.argmax())
        return Choice(
            **place_of(record, encoding),
            choice=_choices(record)[index],
            index=index,
            probabilities=tuple(probabilities.tolist()),
        )

    def measure(self) -> ChoiceMeasure:
        return ChoiceMeasure()

    def mistake(self, record: Record, answer: Choice) -> dict[str, Any] | None:
        label = _label(record, len(answer.probabilities))
        if answer.index == label:
            return None
        share = round(answer.probabilities[answer.index], 6)
        return {"label": _choices(record)[label], "predicted": answer.choice, "probability": share}


class ChoiceMeasure:
    """Accuracy and mean cross-entropy, in nats."""

    def __init__(self) -> None:
        self.documents = self.right = 0
        self.loss = 0.0

    def add(self, record: Record, encoding: Encoding, outputs: Sequence[NDArray[np.float32]], answer: Choice) -> None:
        label = _label(record, len(answer.probabilities))
        self.documents += 1
        self.right += answer.index == label
        self.loss -= float(np.log(max(answer.probabilities[label], 1e-30)))

    def result(self) -> dict[str, Any]:
        count = max(self.documents, 1)
        return {"documents": self.documents, "accuracy": self.right / count, "loss": self.loss / count}


def _choices(record: Record) -> tuple[str, ...]:
    choices: tuple[str, ...] = record.values["choices"]
    return choices


def _label(record: Record, count: int) -> int:
    label: int | None = record.label
    if label is None or not 0 <= label < count:
        raise NysformerError(
            f"{record.place}: the label {label!r} is not the index of a choice, 0 to {count - 1}; fix or remove the "
            "document"
        )
    return label
