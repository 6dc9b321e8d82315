"""Predict masked tokens: how encoders are pretrained, and continued on texts of one's own.

Shapes: B batch, N padded length, V vocabulary.
"""

from __future__ import annotations

import math
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
from nysformer.models import NystromformerConfig, NystromformerForMaskedLM
from nysformer.models.losses import IGNORED
from nysformer.tasks.base import Answer, Encoding, Example, Metric, Task
from nysformer.tasks.pieces import cut, tokens_read
from nysformer.tasks.reading import Reading

__all__ = ["MaskedLM", "MaskingOptions"]


@dataclass(frozen=True, slots=True, kw_only=True)
class MaskingOptions:
    """How tokens are masked.

    Attributes:
        mask_fraction: the share of a document's tokens that are to be predicted.
        whole_words: mask all tokens of a word or none.
        mask_token_id: what four of five of them become; one of ten becomes a random token, one of ten stays.
        vocab_size: random tokens are drawn from it.
        special_ids: tokens that are never masked.
    """

    mask_token_id: int
    vocab_size: int
    special_ids: frozenset[int]
    mask_fraction: float = 0.15
    whole_words: bool = False

    def __post_init__(self) -> None:
        if not 0 < self.mask_fraction < 1:
            raise NysformerError(f"mask_fraction: {self.mask_fraction} is not a share between 0 and 1")


class MaskedLM(Task[Answer, Encoding]):
    """Masked language modelling on plain documents.

    Args:
        masking: how tokens are masked.
    """

    name = "masked-lm"
    pipeline_tag = "fill-mask"
    model_class = NystromformerForMaskedLM
    layouts = (Layout(Column("text", "the document")),)
    targets_per_token: ClassVar[bool] = True
    answer_columns: ClassVar[Columns] = {}
    mistake_columns: ClassVar[Columns] = {}

    def __init__(self, masking: MaskingOptions) -> None:
        self.masking = masking

    @property
    def metrics(self) -> tuple[Metric, ...]:
        return (
            Metric("loss", "loss", greater_is_better=False),
            Metric("perplexity", "perplexity", greater_is_better=False),
            Metric("accuracy", "masked accuracy"),
        )

    @classmethod
    def from_records(
        cls, records: Iterable[Record], options: Mapping[str, Any], known: Task[Any, Any] | None = None
    ) -> MaskedLM:
        return cls(MaskingOptions(**options))

    @classmethod
    def from_config(cls, config: NystromformerConfig, tokenizer: PreTrainedTokenizerBase | None = None) -> MaskedLM:
        raise NysformerError("masked-lm: a masked language model is trained and evaluated, it gives no answers")

    def texts(self, record: Record) -> list[str]:
        return [record.text]

    def encode(
        self, record: Record, tokens: Sequence[Tokens], encoder: Encoder, reading: Reading, *, labelled: bool
    ) -> Encoding:
        (document,) = tokens
        pieces = cut(record.text, document, encoder.frame(), reading, encoder.max_length)
        words = np.asarray(document.words, dtype=np.int64)
        return Encoding(
            examples=[
                Example(piece.input_ids, targets={"words": piece.spread(words, -1).tolist()}) for piece in pieces
            ],
            length=len(document.ids) + len(encoder.frame()),
            truncated=tokens_read(pieces) < len(document.ids),
            unknown=document.unknown,
        )

    def collate(
        self, examples: Sequence[Example], pad_token_id: int, rng: np.random.Generator | None = None
    ) -> dict[str, Tensor]:
        """A batch with masked `input_ids` and `labels`, the tokens that were masked and -100 elsewhere."""
        if rng is None:
            raise ValueError("masking draws tokens: pass rng, seeded by (seed, epoch, batch)")
        batch = super().collate(examples, pad_token_id)
        words, ids = batch.pop("words").numpy(), batch["input_ids"].numpy()
        ids, labels = self.mask(ids, words, rng)
        return {**batch, "input_ids": torch.from_numpy(ids), "labels": torch.from_numpy(labels)}

    def mask(
        self, ids: NDArray[np.int64], words: NDArray[np.int64], rng: np.random.Generator
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Draw what is masked.

        Args:
            ids: (B, N).
            words: (B, N), the number of each token's word; negative where nothing may be masked.
            rng: what is drawn follows from it alone.

        Returns:
            (B, N) ids with masks, and (B, N) labels.
        """
        options = self.masking
        allowed = (words >= 0) & ~np.isin(ids, list(options.special_ids))
        chance = rng.random(ids.shape)
        if options.whole_words:  # every token of a word takes the draw of the word's first token
            row = np.arange(len(ids))[:, None] * (words.max(initial=0) + 1)
            _, first, word = np.unique(row + np.maximum(words, 0), return_index=True, return_inverse=True)
            chance = chance.ravel()[first][word].reshape(ids.shape)
        chosen = allowed & (chance < options.mask_fraction)
        labels = np.where(chosen, ids, IGNORED)
        fate = rng.random(ids.shape)
        random = rng.integers(options.vocab_size, size=ids.shape)
        masked = np.where(chosen & (fate < 0.8), options.mask_token_id, ids)
        return np.where(chosen & (fate >= 0.9), random, masked), labels

    def outputs(self, output: Any, batch: Mapping[str, Tensor], examples: Sequence[Example]) -> list[Any]:
        """Per example: masked tokens, how many are predicted right, and their summed cross-entropy."""
        counts = []
        for logits, labels in zip(output.logits, batch["labels"].to(output.logits.device), strict=True):
            asked = labels != IGNORED
            picked, truth = logits[asked].float(), labels[asked]
            loss = torch.nn.functional.cross_entropy(picked, truth, reduction="sum")
            counts.append((len(truth), int((picked.argmax(dim=-1) == truth).sum()), float(loss)))
        return counts

    def decode(self, record: Record, encoding: Encoding, outputs: Sequence[Any]) -> Answer:
        raise NysformerError("masked-lm: a masked language model gives no answers; fine-tune it for a task first")

    def mistake(self, record: Record, answer: Answer) -> dict[str, Any] | None:
        return None

    def measure(self) -> MaskedMeasure:
        return MaskedMeasure()


class MaskedMeasure:
    """Mean cross-entropy of the masked tokens in nats, its exponential, and the share that is predicted right."""

    def __init__(self) -> None:
        self.documents = self.tokens = self.right = 0
        self.loss = 0.0

    def add(self, record: Record, encoding: Encoding, outputs: Sequence[tuple[int, int, float]], answer: Any) -> None:
        self.documents += 1
        for tokens, right, loss in outputs:
            self.tokens += tokens
            self.right += right
            self.loss += loss

    def result(self) -> dict[str, Any]:
        count = max(self.tokens, 1)
        loss = self.loss / count
        return {
            "documents": self.documents,
            "tokens": self.tokens,
            "loss": loss,
            "perplexity": math.exp(min(loss, 700.0)),
            "accuracy": self.right / count,
        }
