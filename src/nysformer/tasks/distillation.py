"""Distillation: an encoder that reads through landmarks learns the hidden states of softmax attention.

It needs no labels and is no entry of the table of tasks: there is no question that a user puts to documents.

Shapes: B batch, N padded length, T real tokens, E hidden size.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from nysformer.data.framing import Encoder, Tokens
from nysformer.data.reading import Column, Layout
from nysformer.data.records import Record
from nysformer.data.tables import Columns
from nysformer.errors import NysformerError
from nysformer.models import NystromformerConfig, NystromformerModel
from nysformer.models.losses import IGNORED
from nysformer.tasks.base import Answer, Encoding, Example, LossFunction, Metric, Task, place_of
from nysformer.tasks.class_weights import ClassWeights
from nysformer.tasks.fidelity import fidelity
from nysformer.tasks.pieces import cut, tokens_read
from nysformer.tasks.reading import Reading

__all__ = ["Compared", "Distillation"]


@dataclass(frozen=True, kw_only=True, repr=False)
class Compared(Answer):
    """A document's two vectors.

    Attributes:
        found, exact: (E), the means of the last hidden states, through landmarks and by softmax attention.
    """

    found: NDArray[np.float32]
    exact: NDArray[np.float32]

    def fields(self, *, top_k: int | None = None) -> dict[str, Any]:
        return {"found": self.found.tolist(), "exact": self.exact.tolist()}


class Distillation(Task[Compared, Encoding]):
    """Learn from `teacher`, layer by layer and in the mean of the last hidden states.

    Args:
        teacher: reads whole documents by softmax attention; in eval mode.
        vector_weight: of the error of the mean of the last hidden states, beside that of every token's states in every
            layer; both relative to the variance of the teacher's states over the tokens.
    """

    name = "distillation"
    pipeline_tag = "feature-extraction"
    model_class = NystromformerModel
    head = "encoder"
    layouts = (Layout(Column("text", "the document")),)
    answer_columns: ClassVar[Columns] = {"found": "text", "exact": "text"}
    mistake_columns: ClassVar[Columns] = {}

    def __init__(self, teacher: NystromformerModel, *, vector_weight: float = 8.0) -> None:
        self.teacher = teacher
        self.vector_weight = vector_weight
        self._exact: dict[bytes, NDArray[np.float32]] = {}  # vectors of documents to measure by: the teacher is slow

    @property
    def metrics(self) -> tuple[Metric, ...]:
        return (
            Metric("relative_error", "relative error", greater_is_better=False),
            Metric("centred_cosine", "centred cosine"),
            Metric("cosine", "cosine"),
        )

    @classmethod
    def from_records(
        cls,
        records: Iterable[Record],
        options: Mapping[str, Any],
        known: Task[Any, Any] | None = None,
        tokenizer: PreTrainedTokenizerBase | None = None,
    ) -> Distillation:
        """Always raises: records do not say whom to learn from."""
        raise NysformerError("distillation: it learns from a model, not from records; make it with its teacher")

    @classmethod
    def from_config(cls, config: NystromformerConfig, tokenizer: PreTrainedTokenizerBase | None = None) -> Distillation:
        """Always raises: a configuration does not say whom to learn from."""
        raise NysformerError("distillation: it learns from a model, not from settings; make it with its teacher")

    def texts(self, record: Record) -> list[str]:
        return [record.text]

    def encode(
        self, record: Record, tokens: Sequence[Tokens], encoder: Encoder, reading: Reading, *, labelled: bool
    ) -> Encoding:
        (document,) = tokens
        pieces = cut(record.text, document, encoder.frame(), reading, encoder.max_length)
        # The labels of a batch are its tokens, which `collate` makes: here they are only named.
        targets = {"labels": 0} if labelled else {}
        return Encoding(
            examples=[Example(piece.input_ids, piece.token_type_ids, targets) for piece in pieces],
            length=encoder.frame().length(document.ids),
            truncated=tokens_read(pieces) < len(document.ids),
            unknown=document.unknown,
        )

    def target_bytes(self, examples: Sequence[Example]) -> bytes:
        """See `Task.target_bytes`: what a document teaches follows from its tokens."""
        return b"".join(_digest(example) for example in examples)

    def collate(
        self, examples: Sequence[Example], pad_token_id: int, rng: np.random.Generator | None = None
    ) -> dict[str, Tensor]:
        """A batch whose `labels` are its tokens, for the teacher; the model is asked for all hidden states."""
        plain = [Example(example.input_ids, example.token_type_ids) for example in examples]
        batch = super().collate(plain, pad_token_id)
        labels = batch["input_ids"].masked_fill(batch["attention_mask"] == 0, IGNORED)
        # A tensor, because that is what loaders move between devices; the model asks only whether it is true.
        return {**batch, "labels": labels, "output_hidden_states": torch.tensor(True)}

    def loss_function(self, records: Iterable[Record], class_weights: ClassWeights | None = None) -> LossFunction:
        super().loss_function(records, class_weights)
        return self._loss

    def _loss(self, outputs: Any, labels: Tensor, num_items_in_batch: Any = None) -> Tensor:
        real = labels != IGNORED
        exact = self._teach(labels.masked_fill(~real, 0), real).hidden_states
        losses = []
        for ours, theirs in zip(outputs.hidden_states[1:], exact[1:], strict=True):
            rows = theirs[real].float()
            variance = (rows - rows.mean(dim=0)).square().mean()
            losses.append((ours[real].float() - rows).square().mean() / variance)
        vectors = [_means(states[-1].float(), real) for states in (outputs.hidden_states, exact)]
        return torch.stack(losses).mean() + self.vector_weight * (vectors[0] - vectors[1]).square().mean() / variance

    @torch.no_grad()
    def _teach(self, input_ids: Tensor, mask: Tensor) -> Any:
        if self.teacher.device != input_ids.device:
            self.teacher.to(input_ids.device)
        return self.teacher(input_ids, mask, output_hidden_states=True)

    def outputs(self, output: Any, batch: Mapping[str, Tensor], examples: Sequence[Example]) -> list[Any]:
        """Per example (2, E): the mean of the model's last hidden states, and of the teacher's."""
        mask = batch["attention_mask"].bool()
        keys = [_digest(example) for example in examples]
        if any(key not in self._exact for key in keys):
            device = output.last_hidden_state.device
            exact = self._teach(batch["input_ids"].to(device), mask.to(device)).last_hidden_state.float()
            self._exact.update(zip(keys, _means(exact, mask.to(device)).cpu().numpy(), strict=True))
        states = output.last_hidden_state.float()
        found = _means(states, mask.to(states.device)).cpu().numpy()
        return [np.stack([vector, self._exact[key]]) for vector, key in zip(found, keys, strict=True)]

    def decode(self, record: Record, encoding: Encoding, outputs: Sequence[NDArray[np.float32]]) -> Compared:
        """The vectors of a document; of one in windows, their means."""
        found, exact = np.mean(np.stack(outputs), axis=0)
        return Compared(**place_of(record, encoding), found=found, exact=exact)

    def mistake(self, record: Record, answer: Compared) -> dict[str, Any] | None:
        return None

    def measure(self) -> FidelityMeasure:
        return FidelityMeasure()

    def limits(self) -> list[str]:
        return ["Distilled without labels: fine-tune it for a task of your own."]


class FidelityMeasure:
    """The figures of `Fidelity` over documents."""

    def __init__(self) -> None:
        self.found: list[NDArray[np.float32]] = []
        self.exact: list[NDArray[np.float32]] = []

    def add(self, record: Record, encoding: Encoding, outputs: Sequence[Any], answer: Compared) -> None:
        self.found.append(answer.found)
        self.exact.append(answer.exact)

    def result(self) -> dict[str, Any]:
        found, exact = (torch.from_numpy(np.stack(each)) for each in (self.found, self.exact))
        return {"documents": len(found), **fidelity(found, exact).as_dict()}


def _means(states: Tensor, mask: Tensor) -> Tensor:
    """(B, N, E), zero at masked places, to the (B, E) means over real tokens."""
    return states.sum(dim=1) / mask.sum(dim=1, keepdim=True)


def _digest(example: Example) -> bytes:
    return hashlib.sha256(np.asarray(example.input_ids, dtype=np.int64).tobytes()).digest()
