"""Classify a stream of documents: results in the order of the input, memory bounded whatever its size.

Shapes: B batch, N padded length, C labels.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from transformers import PreTrainedTokenizerBase

from nysformer.data.batches import TokenBudgetBatchSampler
from nysformer.data.encode import Encoded, check_max_length, encode
from nysformer.data.stream import Item, Record, RecordError, Waiting
from nysformer.errors import NysformerError
from nysformer.inference.load import check_model, label_names, load_classifier, load_tokenizer
from nysformer.inference.precision import PRECISIONS, Precision, fast_copy
from nysformer.models import NystromformerForSequenceClassification

__all__ = ["TOKENS_PER_BATCH", "Prediction", "Predictor", "Scored"]


TOKENS_PER_BATCH = 8192
"""Real tokens a batch; more is no faster on a CPU."""

# How far reading runs ahead of the answers: enough to find documents of like length, whatever there is to read.
WINDOW_BATCHES = 8
WINDOW_DOCUMENTS = 1024
CHARACTERS_PER_TOKEN = 4

MULTI_LABEL_THRESHOLD = 0.5


@dataclass(frozen=True, slots=True)
class Scored:
    """A document's (C,) float32 logits on the CPU, its length in tokens before any cut, and whether it was cut."""

    document: Record
    logits: Tensor
    length: int
    truncated: bool


@dataclass(frozen=True, slots=True)
class Prediction:
    """What the model says of one document.

    One of three, by the model's problem type: `label` (single-label; `probabilities` sum to 1), `labels` (multi-label:
    those of probability 0.5 or more, each probability by itself), or `value` (regression: a number, or
    {name: number} for several outputs). `length` is in tokens before the cut, `truncated` says that there was one.
    """

    source: str
    line: int | None
    label: str | None
    labels: tuple[str, ...] | None
    value: float | dict[str, float] | None
    probabilities: dict[str, float] | None
    length: int
    truncated: bool

    def to_dict(self) -> dict[str, Any]:
        """As a line of JSON holds it: numbers to six decimals, without the fields that do not apply."""
        answer = {"label": self.label, "labels": self.labels, "value": self.value, "probabilities": self.probabilities}
        return {
            "source": self.source,
            "line": self.line,
            **{name: _rounded(value) for name, value in answer.items() if value is not None},
            "length": self.length,
            "truncated": self.truncated,
        }


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: round(number, 6) for name, number in value.items()}
    return round(value, 6) if isinstance(value, float) else value


class Predictor:
    """A trained sequence classifier and its tokenizer, ready for documents of any number and length.

    Args:
        model: in evaluation mode, on the device it is to run on.
        tokenizer: the model's.
        max_length: tokens a document may have, the rest is cut; None: as many as the model has positions for.
        tokens_per_batch: real tokens a batch; a longer document rides alone.

    Attributes:
        labels: the names of the model's C outputs.
        problem_type: "single_label_classification", "multi_label_classification" or "regression", from the model's
            configuration; where that says nothing, one output means regression and several mean a single label.

    Raises:
        NysformerError: a maximum length past the position table or without room for a token, or an empty budget.

    Example:
        >>> predictor = Predictor.from_pretrained("runs/demo")  # doctest: +SKIP
        >>> [answer.label for answer in predictor.predict(["Permission is hereby granted ..."])]  # doctest: +SKIP
        ['Permissive']
    """

    def __init__(
        self,
        model: NystromformerForSequenceClassification,
        tokenizer: PreTrainedTokenizerBase,
        *,
        max_length: int | None = None,
        tokens_per_batch: int = TOKENS_PER_BATCH,
    ) -> None:
        config = model.config
        positions = config.max_position_embeddings
        if max_length is not None and max_length > positions and config.position_embedding_type != "none":
            raise NysformerError(
                f"a maximum length of {max_length} tokens is past the model's position table of {positions}; "
                "lower --max-length, or extend the table: model.extend_positions"
            )
        if tokens_per_batch < 1:
            raise NysformerError(f"a budget of {tokens_per_batch} tokens a batch holds nothing; give at least 1")
        if len(tokenizer) > config.vocab_size:
            raise NysformerError(
                f"the tokenizer knows {len(tokenizer)} tokens, the model {config.vocab_size}; use the model's own one"
            )
        self.model = model
        self.tokenizer = tokenizer
        self.max_length = positions if max_length is None else max_length
        self.tokens_per_batch = tokens_per_batch
        self.labels = label_names(config)
        self.problem_type: str = config.problem_type or (
            "regression" if config.num_labels == 1 else "single_label_classification"
        )
        check_max_length(tokenizer, self.max_length)

    @classmethod
    def from_pretrained(
        cls,
        model_dir: str | Path,
        *,
        max_length: int | None = None,
        tokens_per_batch: int = TOKENS_PER_BATCH,
        dtype: Precision = "float32",
        device: str | None = None,
    ) -> "Predictor":
        """Load a model folder, such as `nysformer finetune` writes; on a CPU the model goes through `optimize`.

        Args:
            model_dir: the folder, model and tokenizer in it.
            max_length, tokens_per_batch: see the class.
            dtype: of weights and arithmetic; the logits are float32 always. "int8" is the CPU's: the encoder's products
                in int8, the rest in bfloat16 where the processor has it.
            device: as torch names it ("cpu", "cuda:1", "mps"); None: the first GPU there is, else the CPU.

        Raises:
            NysformerError: no such folder, a damaged or untrained checkpoint, no tokenizer, an unknown dtype or device.
        """
        if dtype not in PRECISIONS:
            raise NysformerError(f"unknown dtype {dtype!r}; choose {', '.join(PRECISIONS)}")
        check_model(model_dir)
        tokenizer = load_tokenizer(model_dir)
        model = load_classifier(model_dir)
        place = device or _first_device()
        if place == "cpu":
            model = fast_copy(model, dtype)
        elif dtype == "int8":
            raise NysformerError(f"dtype int8 runs on a CPU only, not on {place}; choose float32 or bfloat16")
        else:
            try:
                model = model.to(place, {"float32": torch.float32, "bfloat16": torch.bfloat16}[dtype])
            except (RuntimeError, AssertionError) as error:  # torch's word for an unknown device, or one not built in
                raise NysformerError(f"device {place!r} cannot be used ({str(error).splitlines()[0]})") from error
        return cls(model, tokenizer, max_length=max_length, tokens_per_batch=tokens_per_batch)

    def predict(self, documents: Iterable[str | Item]) -> Iterator[Prediction | RecordError]:
        """Classify documents as they come, in their order.

        Reading runs ahead by a bounded window, whose documents are batched by like length. A window is answered when it
        is full, when the documents end, and when a `Waiting` says that no more will come for now.

        Args:
            documents: texts (their line is their number, from 1), or the items of `stream_documents`.

        Returns:
            One answer a document; a `RecordError` comes through at its place, and stands for a document without tokens.

        Raises:
            NysformerError: the model's answer is not a finite number: its weights are broken.
        """
        for item in self.score(documents):
            yield item if isinstance(item, RecordError) else self._prediction(item)

    def score(self, documents: Iterable[str | Item]) -> Iterator[Scored | RecordError]:
        """As `predict`, with the logits themselves."""
        for window in self._windows(documents):
            yield from self._answers(window)

    def _windows(self, documents: Iterable[str | Item]) -> Iterator[list[Record | RecordError]]:
        most = WINDOW_BATCHES * self.tokens_per_batch * CHARACTERS_PER_TOKEN
        window: list[Record | RecordError] = []
        characters = 0
        for number, item in enumerate(documents, start=1):
            if not isinstance(item, Waiting):
                document = Record(item, "document", number) if isinstance(item, str) else item
                window.append(document)
                characters += len(document.text) if isinstance(document, Record) else 0
            if window and (isinstance(item, Waiting) or characters >= most or len(window) >= WINDOW_DOCUMENTS):
                yield window
                window, characters = [], 0
        if window:
            yield window

    def _answers(self, window: list[Record | RecordError]) -> list[Scored | RecordError]:
        documents = {place: item for place, item in enumerate(window) if isinstance(item, Record)}
        texts = [document.text for document in documents.values()]
        found = dict(zip(documents, encode(texts, self.tokenizer, self.max_length), strict=True))
        encoded = {place: item for place, item in found.items() if item is not None}
        logits = dict(zip(encoded, self._logits(list(encoded.values())), strict=True))
        answers: list[Scored | RecordError] = []
        for place, item in enumerate(window):
            if isinstance(item, RecordError):
                answers.append(item)
            elif place not in encoded:
                answers.append(RecordError(item.source, item.line, "the tokenizer finds no token in the document"))
            else:
                answers.append(Scored(item, logits[place], encoded[place].length, encoded[place].truncated))
        return answers

    def _logits(self, encoded: list[Encoded]) -> list[Tensor]:
        """(C,) float32 logits on the CPU for each document, in batches of like length under the budget."""
        logits: list[Tensor] = [torch.empty(0)] * len(encoded)
        if not encoded:
            return logits
        batches = TokenBudgetBatchSampler(
            [len(item.input_ids) for item in encoded], self.tokens_per_batch, shuffle=False
        )
        for batch in batches:
            ids = [torch.tensor(encoded[i].input_ids) for i in batch]
            lengths = torch.tensor([len(one) for one in ids])
            padded = pad_sequence(ids, batch_first=True)
            mask = torch.arange(padded.shape[1]) < lengths[:, None]
            with torch.inference_mode():
                output = self.model(padded.to(self.model.device), mask.to(self.model.device))
            rows = output.logits.float().cpu()
            if not rows.isfinite().all():
                raise NysformerError(
                    "the model's scores are not finite numbers: its weights are broken; train it again"
                )
            for i, row in zip(batch, rows, strict=True):
                logits[i] = row
        return logits

    def _prediction(self, scored: Scored) -> Prediction:
        label: str | None = None
        labels: tuple[str, ...] | None = None
        value: float | dict[str, float] | None = None
        probabilities: dict[str, float] | None = None
        if self.problem_type == "regression":
            values = dict(zip(self.labels, scored.logits.tolist(), strict=True))
            value = next(iter(values.values())) if len(values) == 1 else values
        elif self.problem_type == "multi_label_classification":
            probabilities = dict(zip(self.labels, scored.logits.sigmoid().tolist(), strict=True))
            labels = tuple(name for name, share in probabilities.items() if share >= MULTI_LABEL_THRESHOLD)
        else:
            probabilities = dict(zip(self.labels, scored.logits.softmax(dim=-1).tolist(), strict=True))
            label = self.labels[int(scored.logits.argmax())]
        place = scored.document
        return Prediction(
            place.source, place.line, label, labels, value, probabilities, scored.length, scored.truncated
        )


def _first_device() -> str:
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"
