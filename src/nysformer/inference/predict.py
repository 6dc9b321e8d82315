"""Classify a stream of documents: results in the order of the input, memory bounded whatever its size.

Shapes: B batch, N padded length, C labels.
"""

import operator
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from transformers import PreTrainedTokenizerBase

from nysformer.checkpoints.load import check_model, label_names, load_classifier, load_tokenizer
from nysformer.data.batches import TokenBudgetBatchSampler
from nysformer.data.encode import Encoded, TextEncoder
from nysformer.data.given import Given, given_records
from nysformer.data.records import Record, RecordError, Waiting
from nysformer.errors import NysformerError
from nysformer.inference.prediction import Prediction, Scored
from nysformer.models import NystromformerForSequenceClassification
from nysformer.runtime.precision import PRECISIONS, Precision, fast_copy, usable_device

__all__ = ["MOSTLY_UNKNOWN", "TOKENS_PER_BATCH", "Predictor", "load"]


TOKENS_PER_BATCH = 8192
"""Real tokens per batch; more is no faster on a CPU."""

# How far reading runs ahead of the answers: enough to find documents of like length, whatever there is to read. The
# first window is small, so that the first answers come soon; each full one doubles the next, up to these.
WINDOW_BATCHES = 8
WINDOW_DOCUMENTS = 1024
FIRST_SHARE = 32
CHARACTERS_PER_TOKEN = 4

MULTI_LABEL_THRESHOLD = 0.5

MOSTLY_UNKNOWN = 0.5
"""Above this share of unknown tokens a document's answer says little."""


class Predictor:
    """A trained sequence classifier and its tokenizer, ready for documents of any number and length.

    Threads may share one: a prediction changes nothing in it. It can be copied, pickled, and sent to other processes.

    Args:
        model: in evaluation mode, on the device it is to run on.
        tokenizer: the model's; it is left as it is.
        max_length: tokens that a document may have, the rest is cut; None: as many as the model has positions for.
        tokens_per_batch: real tokens per batch; a longer document gets its own batch.

    Attributes:
        labels: the names of the model's C outputs.
        problem_type: "single_label_classification", "multi_label_classification" or "regression", from the model's
            configuration; where that says nothing, one output means regression and several mean a single label.

    Raises:
        NysformerError: a maximum length past the position table or without room for a token, an empty budget, or
            either of them not a whole number.

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
        max_length, tokens_per_batch = _checked(max_length, tokens_per_batch)
        if max_length is not None and max_length > positions and config.position_embedding_type != "none":
            raise NysformerError(
                f"a max_length of {max_length} tokens is past the model's position table of {positions}; lower it, or "
                "extend the table: model.extend_positions"
            )
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
        self._encode = TextEncoder(tokenizer, self.max_length)

    def __getstate__(self) -> dict[str, Any]:
        # The encoder holds a second tokenizer, which the first can make again.
        return {name: value for name, value in self.__dict__.items() if name != "_encode"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._encode = TextEncoder(self.tokenizer, self.max_length)

    @classmethod
    def from_pretrained(
        cls,
        model_dir: str | Path,
        *,
        max_length: int | None = None,
        tokens_per_batch: int = TOKENS_PER_BATCH,
        dtype: Precision = "float32",
        device: str | torch.device | None = None,
    ) -> "Predictor":
        """Load a model folder, such as `nysformer finetune` writes; on a CPU the model goes through `optimize`.

        Args:
            model_dir: the folder, model and tokenizer in it.
            max_length, tokens_per_batch: see the class.
            dtype: of weights and arithmetic; the logits are float32 always. "int8" is for a CPU: the encoder's products
                in int8, the rest in bfloat16 where the processor has it.
            device: as torch names it ("cpu", "cuda:1", "mps"); None: the first GPU, else the CPU.

        Raises:
            NysformerError: no such folder, a damaged or untrained checkpoint, no tokenizer, an unknown dtype or device.
        """
        _checked(max_length, tokens_per_batch)
        if dtype not in PRECISIONS:
            raise NysformerError(f"unknown dtype {dtype!r}; choose {', '.join(PRECISIONS)}")
        place = usable_device(device)
        if dtype == "int8" and place.type != "cpu":
            raise NysformerError(f"dtype int8 runs on a CPU only, not on {place}; choose float32 or bfloat16")
        check_model(model_dir)
        tokenizer = load_tokenizer(model_dir)
        model = load_classifier(model_dir)
        if place.type == "cpu":
            model = fast_copy(model, dtype)
        else:
            try:
                model = model.to(place, {"float32": torch.float32, "bfloat16": torch.bfloat16}[dtype])
            except RuntimeError as error:
                reason = str(error).splitlines()[0]
                raise NysformerError(f"device '{place}' cannot be used ({reason}); choose another") from error
        return cls(model, tokenizer, max_length=max_length, tokens_per_batch=tokens_per_batch)

    def predict(self, documents: Iterable[str | Given]) -> Iterator[Prediction | RecordError]:
        """Classify documents as they come, in their order.

        Reading runs ahead by a bounded window, whose documents are batched by like length. A window is answered when it
        is full, when the documents end or reading them fails, and when a `Waiting` says that no more will come for now.
        The first window is small, so that the first answers come soon.

        Args:
            documents: texts (their line is their number, from 1), or the items of a reader; one text is one document.

        Returns:
            One answer per document; a `RecordError` comes through at its place, and stands for whatever is not a text,
            is blank, or gives no token.

        Raises:
            NysformerError: at once, for what cannot be documents, such as a table or a path; while reading the answers,
                if the model's answer is not a finite number (its weights are broken), or the memory does not suffice.
        """
        return self._predictions(self.score(documents))

    def score(self, documents: Iterable[str | Given]) -> Iterator[Scored | RecordError]:
        """As `predict`, with the logits themselves."""
        return self._scores(given_records(documents))

    def _predictions(self, scores: Iterator[Scored | RecordError]) -> Iterator[Prediction | RecordError]:
        for item in scores:
            yield item if isinstance(item, RecordError) else self._prediction(item)

    def _scores(self, records: Iterator[Given]) -> Iterator[Scored | RecordError]:
        for window in self._windows(records):
            yield from self._answers(window)

    def _windows(self, records: Iterator[Given]) -> Iterator[list[Record | RecordError]]:
        most = WINDOW_BATCHES * self.tokens_per_batch * CHARACTERS_PER_TOKEN
        share = FIRST_SHARE
        window: list[Record | RecordError] = []
        characters = 0
        failure: Exception | None = None
        while failure is None:
            try:
                item = next(records)
            except StopIteration:
                break
            except Exception as error:  # raised again once what was read before it is answered
                failure = error
                break
            if not isinstance(item, Waiting):
                window.append(item)
                characters += len(item.text) if isinstance(item, Record) else 0
            full = characters * share >= most or len(window) * share >= WINDOW_DOCUMENTS
            if window and (full or isinstance(item, Waiting)):
                yield window
                window, characters = [], 0
                share = max(1, share // 2) if full else share
        if window:
            yield window
        if failure is not None:
            raise failure

    def _answers(self, window: list[Record | RecordError]) -> list[Scored | RecordError]:
        documents = {place: item for place, item in enumerate(window) if isinstance(item, Record)}
        found = dict(zip(documents, self._encode([item.text for item in documents.values()]), strict=True))
        encoded = {place: item for place, item in found.items() if item is not None}
        logits = dict(zip(encoded, self._logits(list(encoded.values())), strict=True))
        answers: list[Scored | RecordError] = []
        for place, item in enumerate(window):
            if isinstance(item, RecordError):
                answers.append(item)
            elif place not in encoded:
                answers.append(RecordError(item.source, item.line, "the tokenizer finds no token in the document"))
            else:
                read = encoded[place]
                answers.append(Scored(item, logits[place], read.length, read.truncated, read.unknown))
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
            try:
                with torch.inference_mode():
                    output = self.model(padded.to(self.model.device), mask.to(self.model.device))
            except (MemoryError, RuntimeError) as error:
                if not _is_out_of_memory(error):
                    raise
                raise NysformerError(
                    f"not enough memory for a batch of {len(batch)} documents, the longest of {padded.shape[1]:,} "
                    "tokens; lower tokens_per_batch or max_length"
                ) from error
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
            place.source,
            place.line,
            label,
            labels,
            value,
            probabilities,
            scored.length,
            scored.truncated,
            scored.unknown,
            place.columns,
        )


def load(model_dir: str | Path, **options: Any) -> Predictor:
    """A model folder, ready to answer: `Predictor.from_pretrained` under the name that a user looks for first.

    Args:
        model_dir: the folder, model and tokenizer in it, such as `nysformer finetune` writes.
        options: of `Predictor.from_pretrained`: max_length, tokens_per_batch, dtype, device.

    Raises:
        NysformerError: as `Predictor.from_pretrained`.

    Example:
        >>> import nysformer
        >>> predictor = nysformer.load("runs/demo")  # doctest: +SKIP
        >>> [answer.label for answer in predictor.predict(["Permission is hereby granted ..."])]  # doctest: +SKIP
        ['Permissive']
    """
    return Predictor.from_pretrained(model_dir, **options)


def _checked(max_length: int | None, tokens_per_batch: int) -> tuple[int | None, int]:
    """Both as plain numbers."""
    if max_length is not None:
        max_length = _whole("max_length", max_length)
    tokens_per_batch = _whole("tokens_per_batch", tokens_per_batch)
    if tokens_per_batch < 1:
        raise NysformerError(f"tokens_per_batch: a budget of {tokens_per_batch} tokens holds nothing; give at least 1")
    return max_length, tokens_per_batch


def _whole(name: str, value: Any) -> int:
    try:
        if isinstance(value, bool):
            raise TypeError
        return operator.index(value)
    except TypeError:
        raise NysformerError(f"{name} is {value!r}: give a whole number, such as 512") from None


def _is_out_of_memory(error: Exception) -> bool:
    """torch has a class for a GPU's memory only; a CPU's is a RuntimeError of the allocator."""
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or "DefaultCPUAllocator" in str(error)
