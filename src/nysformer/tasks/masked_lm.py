"""Predict masked tokens: how encoders are pretrained, and continued on texts of one's own.

Shapes: B batch, N padded length, V vocabulary.
"""

from __future__ import annotations

import hashlib
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
from nysformer.tasks.alignment import word_numbers
from nysformer.tasks.base import Answer, Encoding, Example, Metric, Task, place_of
from nysformer.tasks.pieces import cut, tokens_read
from nysformer.tasks.reading import Reading

__all__ = ["Filled", "MaskedLM", "MaskingOptions"]

_CANDIDATES = 5
"""So many tokens are told of each mask token."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MaskingOptions:
    """How tokens are masked.

    Attributes:
        mask_fraction: the share of a document's tokens that are to be predicted.
        whole_words: mask all tokens of a word or none; a word ends where the tokenizer's words end, and at blanks.
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

    def as_config(self) -> dict[str, Any]:
        """What a model's configuration says of the masking it was trained with."""
        return {"mask_fraction": self.mask_fraction, "whole_words": self.whole_words}


@dataclass(frozen=True, kw_only=True, repr=False)
class Filled(Answer):
    """What stands behind the mask tokens of one document.

    Attributes:
        masks: of each mask token that is read, in order: candidates with their probabilities, the likeliest first.
    """

    masks: tuple[tuple[tuple[str, float], ...], ...]

    def fields(self, *, top_k: int | None = None) -> dict[str, Any]:
        return {
            "masks": [
                [{"token": token, "probability": share} for token, share in candidates[:top_k]]
                for candidates in self.masks
            ]
        }


@dataclass(frozen=True, kw_only=True)
class MaskedEncoding(Encoding):
    """A document as windows; a token that several of them read is asked for in the first of them only.

    Attributes:
        repeated: of each example, how many mask tokens at its beginning the one before has, too.
    """

    repeated: tuple[int, ...]


class MaskedLM(Task[Filled, MaskedEncoding]):
    """Masked language modelling on plain documents; a trained model fills in the mask tokens of a text.

    Args:
        masking: how tokens are masked.
        tokenizer: names the tokens of answers; None for training alone.
    """

    name = "masked-lm"
    pipeline_tag = "fill-mask"
    model_class = NystromformerForMaskedLM
    head = "masked language model"
    layouts = (Layout(Column("text", "the document")),)
    targets_per_token: ClassVar[bool] = True
    answer_columns: ClassVar[Columns] = {"masks": "text"}
    mistake_columns: ClassVar[Columns] = {}

    def __init__(self, masking: MaskingOptions, tokenizer: PreTrainedTokenizerBase | None = None) -> None:
        self.masking = masking
        self._tokenizer = tokenizer

    @property
    def metrics(self) -> tuple[Metric, ...]:
        return (
            Metric("loss", "loss", greater_is_better=False),
            Metric("perplexity", "perplexity", greater_is_better=False),
            Metric("accuracy", "masked accuracy"),
        )

    @classmethod
    def from_records(
        cls,
        records: Iterable[Record],
        options: Mapping[str, Any],
        known: Task[Any, Any] | None = None,
        tokenizer: PreTrainedTokenizerBase | None = None,
    ) -> MaskedLM:
        """See `Task.from_records`.

        Args:
            options: `mask_fraction` and `whole_words`, see `MaskingOptions`; those of other tasks are left alone.
        """
        if tokenizer is None:
            raise NysformerError("masked-lm: masking needs the tokenizer; give it")
        own = {name: options[name] for name in ("mask_fraction", "whole_words") if name in options}
        return cls(_masking(tokenizer, **own), tokenizer)

    @classmethod
    def from_config(cls, config: NystromformerConfig, tokenizer: PreTrainedTokenizerBase | None = None) -> MaskedLM:
        if tokenizer is None:
            raise NysformerError("masked-lm: answers need the tokenizer; give it")
        return cls(_masking(tokenizer, **_trained_masking(config)), tokenizer)

    def why_new_head(self, known: Task[Any, Any]) -> str | None:
        return None

    def texts(self, record: Record) -> list[str]:
        return [record.text]

    def encode(
        self, record: Record, tokens: Sequence[Tokens], encoder: Encoder, reading: Reading, *, labelled: bool
    ) -> MaskedEncoding:
        (document,) = tokens
        pieces = cut(record.text, document, encoder.frame(), reading, encoder.max_length)
        words = np.zeros(len(document.ids) if labelled else 0, dtype=np.int64)
        if labelled and self.masking.whole_words:
            words[:] = word_numbers(record.text, document.offsets, document.words)
        examples, repeated, reached = [], [], 0
        for piece in pieces:
            again = int((piece.tokens < reached).sum())  # read by a window before: here they are context
            inside = slice(piece.start, piece.start + again)
            targets = {}
            if labelled:
                placed = piece.spread(words, -1)
                placed[inside] = -1
                targets = {"words": placed.tolist()}
            examples.append(Example(piece.input_ids, piece.token_type_ids, targets))
            repeated.append(piece.input_ids[inside].count(self.masking.mask_token_id))
            reached = piece.ranges[-1][1]
        return MaskedEncoding(
            examples=examples,
            length=encoder.frame().length(document.ids),
            truncated=tokens_read(pieces) < len(document.ids),
            unknown=document.unknown,
            repeated=tuple(repeated),
        )

    def target_bytes(self, examples: Sequence[Example]) -> bytes:
        """See `Task.target_bytes`: every token is what may be to predict."""
        digest = hashlib.sha256()
        for example in examples:
            digest.update(np.asarray(example.input_ids, dtype=np.int64).tobytes())
        return digest.digest()

    def collate(
        self, examples: Sequence[Example], pad_token_id: int, rng: np.random.Generator | None = None
    ) -> dict[str, Tensor]:
        """A batch with masked `input_ids` and `labels`, the tokens that were masked and -100 elsewhere.

        Examples without targets come as they are, for `decode`.
        """
        if not examples[0].targets:
            return super().collate(examples, pad_token_id)
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
        """Per example: masked tokens, how many are predicted right, and their summed cross-entropy.

        Without targets: an array (masks, K, 2) of the likeliest tokens and their logarithmic probabilities.
        """
        if "labels" not in batch:
            return [
                self._candidates(logits, ids) for logits, ids in zip(output.logits, batch["input_ids"], strict=True)
            ]
        counts = []
        for logits, labels in zip(output.logits, batch["labels"].to(output.logits.device), strict=True):
            asked = labels != IGNORED
            picked, truth = logits[asked].float(), labels[asked]
            loss = torch.nn.functional.cross_entropy(picked, truth, reduction="sum")
            counts.append((len(truth), int((picked.argmax(dim=-1) == truth).sum()), float(loss)))
        return counts

    def _candidates(self, logits: Tensor, ids: Tensor) -> NDArray[np.float64]:
        asked = (ids == self.masking.mask_token_id).to(logits.device)
        best = logits[asked].float().log_softmax(dim=-1).topk(min(_CANDIDATES, logits.shape[-1]))
        return torch.stack([best.indices.double(), best.values.double()], dim=-1).cpu().numpy()

    def decode(self, record: Record, encoding: MaskedEncoding, outputs: Sequence[Any]) -> Filled:
        """The likeliest tokens behind each mask token; of labelled records, which are masked to be measured, none."""
        if any(example.targets for example in encoding.examples):
            return Filled(**place_of(record, encoding), masks=())
        masks = tuple(
            tuple((self._spelled(int(token)), math.exp(share)) for token, share in ranked)
            for output, before in zip(outputs, encoding.repeated, strict=True)
            for ranked in output[before:]
        )
        return Filled(**place_of(record, encoding), masks=masks)

    def _spelled(self, token: int) -> str:
        """A token as text, without the blank that some are written with; one that is no whole text as it is named."""
        assert self._tokenizer is not None
        text = str(self._tokenizer.decode([token])).strip()
        whole = text and "\N{REPLACEMENT CHARACTER}" not in text
        return text if whole else str(self._tokenizer.convert_ids_to_tokens(token))

    def mistake(self, record: Record, answer: Filled) -> dict[str, Any] | None:
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


def _trained_masking(config: NystromformerConfig) -> dict[str, Any]:
    """The masking of a model's training; nothing where its configuration does not say."""
    saved = getattr(config, "masking", None)
    if saved is None:
        return {}
    known = {"mask_fraction": float, "whole_words": bool}
    if not isinstance(saved, dict) or {name: type(value) for name, value in saved.items()} != known:
        raise NysformerError(f"config.json: masking: {saved!r} is not what a training writes; correct or remove it")
    return saved


def _masking(tokenizer: PreTrainedTokenizerBase, **options: Any) -> MaskingOptions:
    if tokenizer.mask_token_id is None:
        raise NysformerError("masked-lm: the tokenizer has no mask token; take another, or add one: [MASK]")
    return MaskingOptions(
        mask_token_id=tokenizer.mask_token_id,
        vocab_size=len(tokenizer),
        special_ids=frozenset(tokenizer.all_special_ids),
        **options,
    )
