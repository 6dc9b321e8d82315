"""Answer a stream of documents: results in the order of the input, memory bounded whatever its size."""

import copy
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import torch
from transformers import PreTrainedTokenizerBase

from nysformer.checkpoints.adapters import is_adapter
from nysformer.checkpoints.adapters import task_class as adapted_class
from nysformer.checkpoints.load import check_model, load_config, load_model, load_tokenizer
from nysformer.data.framing import Encoder
from nysformer.data.given import given_records
from nysformer.data.reading import TEXT_AND_LABEL, Layout, ReadOptions
from nysformer.data.records import Item, Record, RecordError
from nysformer.errors import NysformerError
from nysformer.inference.embed import Embedder, Embedding
from nysformer.inference.limits import checked_limits, checked_numbers
from nysformer.inference.options import TOKENS_PER_BATCH
from nysformer.inference.runner import Runner, windows
from nysformer.models import NystromformerForSequenceClassification, NystromformerPreTrainedModel
from nysformer.runtime.options import Precision
from nysformer.runtime.precision import check_precision, placed
from nysformer.tasks.base import Encoding, Example, Task
from nysformer.tasks.encode import encode_records
from nysformer.tasks.reading import Reading, Strategy, trained_reading
from nysformer.tasks.registry import TASKS, task_class, task_of

__all__ = ["MOSTLY_UNKNOWN", "Answered", "Predictor", "layouts_of", "load"]

MOSTLY_UNKNOWN = 0.5
"""Above this share of unknown tokens a document's answer says little."""

Given: TypeAlias = str | Mapping[str, Any] | Item
"""A document that is handed over: a text, a row, or what a reader yields."""


@dataclass(frozen=True, slots=True)
class Answered:
    """A record, how the model read it, and what it says: the outputs per example, and the answer made of them."""

    record: Record
    encoding: Encoding
    outputs: list[Any]
    answer: Any


class Predictor:
    """A trained model of any task and its tokenizer, ready for documents of any number and length.

    Threads may share one: a prediction changes nothing in it. It can be copied, pickled, and sent to other processes.

    Args:
        model: with a task's head, in evaluation mode, on the device it is to run on.
        tokenizer: the model's; it is left as it is.
        max_length: tokens that are read at a time, special ones included; None: as many as in training where the model
            was trained to read otherwise than whole and `reading` is not "whole", else as many as it has positions for.
        reading: what is read of a longer document (see `nysformer.tasks.reading.Reading`); None: as in training.
        overlap: the share of a window that the next one repeats; None: as in training, else a quarter.
        tokens_per_batch: real tokens per batch; a longer document gets its own batch.
        task: what is asked; None: what the model's head answers.

    Attributes:
        task: knows the labels, where there are any.
        reading: what is read, whoever chose it.

    Raises:
        NysformerError: a maximum length past the position table or without room for a token, an empty budget, or
            either of them not a whole number; a model without a head.

    Example:
        >>> predictor = Predictor.from_pretrained("runs/demo")  # doctest: +SKIP
        >>> [answer.label for answer in predictor.predict(["Permission is hereby granted ..."])]  # doctest: +SKIP
        ['Permissive']
    """

    def __init__(
        self,
        model: NystromformerPreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        *,
        max_length: int | None = None,
        reading: Strategy | None = None,
        overlap: float | None = None,
        tokens_per_batch: int = TOKENS_PER_BATCH,
        task: Task[Any, Any] | None = None,
    ) -> None:
        config = model.config
        trained = trained_reading(config)
        if trained is not None and reading != "whole":
            reading = reading or trained[0].strategy
            overlap = trained[0].overlap if overlap is None else overlap
            max_length = trained[1] if max_length is None else max_length
        self.max_length, self.tokens_per_batch = checked_limits(config, tokenizer, max_length, tokens_per_batch)
        self.model = model
        self.tokenizer = tokenizer
        self.task = _task_of(model, tokenizer) if task is None else task
        chosen = Reading(strategy=reading or "whole", **({} if overlap is None else {"overlap": overlap}))
        self.reading = chosen.on_side(tokenizer.truncation_side)
        self._encoder = Encoder(tokenizer, self.max_length)

    def __getstate__(self) -> dict[str, Any]:
        # The encoder holds a second tokenizer, which the first can make again.
        return {name: value for name, value in self.__dict__.items() if name != "_encoder"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._encoder = Encoder(self.tokenizer, self.max_length)

    @property
    def name(self) -> str:
        """What the model calls itself: the folder that it came from."""
        return str(self.model.config.name_or_path or type(self.model).__name__)

    def reading_as(self, strategy: Strategy) -> "Predictor":
        """The same predictor, reading in another way; it shares the model."""
        other = copy.copy(self)
        other.reading = Reading(strategy=strategy, overlap=self.reading.overlap)
        return other

    @property
    def labels(self) -> list[str]:
        """The names of the labels that the model knows; none for a task without labels, or a number."""
        return list(self.task.label_names)

    @classmethod
    def from_pretrained(
        cls,
        model_dir: str | Path,
        *,
        max_length: int | None = None,
        reading: Strategy | None = None,
        overlap: float | None = None,
        tokens_per_batch: int = TOKENS_PER_BATCH,
        dtype: Precision = "float32",
        device: str | torch.device | None = None,
    ) -> "Predictor":
        """Load a model folder, such as `nysformer finetune` writes; on a CPU the model goes through `optimize`.

        Args:
            model_dir: the folder, model and tokenizer in it.
            max_length, reading, overlap, tokens_per_batch: see the class.
            dtype: of weights and arithmetic; the logits are float32 always. "int8" is for a CPU: the encoder's products
                in int8, the rest in bfloat16 where the processor has it.
            device: as torch names it ("cpu", "cuda:1", "mps"); None: the first GPU, else the CPU.

        Raises:
            NysformerError: no such folder, a damaged or untrained checkpoint, no tokenizer, an unknown dtype or device.
        """
        checked_numbers(max_length, tokens_per_batch)
        place = check_precision(dtype, device)
        check_model(model_dir)
        tokenizer = load_tokenizer(model_dir)
        kind = _kind_of(model_dir)
        model = placed(load_model(model_dir, None if kind is None else kind.model_class), dtype, place)
        return cls(
            model,
            tokenizer,
            max_length=max_length,
            reading=reading,
            overlap=overlap,
            tokens_per_batch=tokens_per_batch,
        )

    def predict(self, documents: Iterable[Given], read: ReadOptions | None = None) -> Iterator[Any]:
        """Answer documents as they come, in their order.

        Reading runs ahead by a bounded window, whose documents are batched by like length (see `runner.windows`).

        Args:
            documents: texts or rows (their line is their number, from 1), a DataFrame or a dataset, or the items of a
                reader; one text is one document.
            read: the names of columns of rows.

        Returns:
            One answer per document, of the task's kind, such as a `Prediction`; a `RecordError` comes through at its
            place, and stands for whatever is not a text, is blank, gives no token, or lacks a column that is asked for.

        Raises:
            NysformerError: at once, for what cannot be documents, such as a table or a path; while reading the answers,
                if the model's answer is not a finite number (its weights are broken), or the memory does not suffice.
        """
        return _answers(self.answered(documents, read))

    def embed(self, documents: Iterable[str | Item], **settings: Any) -> Iterator[Embedding | RecordError]:
        """Embed documents by the model's encoder, see `nysformer.inference.embed.Embedder`.

        Args:
            documents: texts, or the items of a reader; one text is one document.
            settings: of `Embedder`: pooling, passages, normalize, max_length, overlap.

        Raises:
            NysformerError: as `Embedder`.
        """
        settings = {"tokens_per_batch": self.tokens_per_batch, **settings}
        return Embedder(self.model, self.tokenizer, **settings).embed(documents)

    def answered(
        self,
        documents: Iterable[Given],
        read: ReadOptions | None = None,
        *,
        labelled: bool = False,
        windows_before: int = 0,
    ) -> Iterator[Answered | RecordError]:
        """As `predict`, with what the answers are made of.

        Args:
            documents, read: as in `predict`; labelled records where `labelled`.
            labelled: whether the examples get their targets.
            windows_before: that an earlier part of a run has answered, see `runner.windows`.

        Raises:
            NysformerError: also for a label that is unusable, where `labelled`.
        """
        return self._answered(given_records(documents, read, self.task.own_layouts), labelled, windows_before)

    def _answered(self, records: Iterator[Item], labelled: bool, before: int) -> Iterator[Answered | RecordError]:
        runner = Runner(self.model, self.task, self.tokens_per_batch)
        for window in windows(records, self.tokens_per_batch, before=before):
            yield from answer_window(window, self.task, self._encoder, self.reading, runner, labelled=labelled)


def _answers(items: Iterator[Answered | RecordError]) -> Iterator[Any]:
    for item in items:
        yield item.answer if isinstance(item, Answered) else item


def answer_window(
    window: list[Record | RecordError],
    task: Task[Any, Any],
    encoder: Encoder,
    reading: Reading,
    runner: Runner,
    *,
    labelled: bool,
) -> list[Answered | RecordError]:
    """Answer records together: tokenized in one call, batched by like length.

    Args:
        window: records, and errors that come through at their place.
        task, encoder, reading, runner: of the model.
        labelled: whether the examples get their targets; a label that is unusable is then raised, not returned.
    """
    records = [item for item in window if isinstance(item, Record)]
    encodings = encode_records(records, task, encoder, reading, labelled=labelled)
    examples: list[Example] = []
    for encoding in encodings:
        examples += [] if isinstance(encoding, RecordError) else encoding.examples
    outputs = iter(runner(examples))
    answers: list[Answered | RecordError] = []
    pairs = zip(records, encodings, strict=True)
    for item in window:
        if isinstance(item, RecordError):
            answers.append(item)
            continue
        record, encoding = next(pairs)
        if isinstance(encoding, RecordError):
            answers.append(encoding)
            continue
        own = [next(outputs) for _ in encoding.examples]
        answers.append(Answered(record, encoding, own, task.decode(record, encoding, own)))
    return answers


def _kind_of(model_dir: str | Path) -> type[Task[Any, Any]] | None:
    """The task that a folder's configuration names by the model it was saved as; None where it is of none.

    A classifier's configuration need not name a model.
    """
    adapted = adapted_class(model_dir) if is_adapter(model_dir) else None
    names = [adapted] if adapted else load_config(model_dir).architectures
    names = names or [NystromformerForSequenceClassification.__name__]
    return next((kind for kind in map(task_class, TASKS) if kind.model_class.__name__ == names[0]), None)


def layouts_of(model_dir: str | Path) -> tuple[Layout, ...]:
    """How documents may be written for a model, before it is loaded.

    Args:
        model_dir: see `Predictor.from_pretrained`.

    Raises:
        NysformerError: no such folder, or a configuration that is not a Nyströmformer's.
    """
    kind = _kind_of(model_dir)
    return TEXT_AND_LABEL if kind is None else kind.layouts


def _task_of(model: NystromformerPreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> Task[Any, Any]:
    kind = task_of(model)
    if kind is None:
        raise NysformerError(
            f"{model.config.name_or_path or type(model).__name__}: a model without a head for a task; fine-tune it for "
            f"one of {', '.join(TASKS)}, or embed with nysformer.Embedder"
        )
    return kind.from_config(model.config, tokenizer)


def load(model_dir: str | Path, **options: Any) -> Predictor:
    """A model folder, ready to answer: `Predictor.from_pretrained` under the name that a user looks for first.

    Args:
        model_dir: the folder, model and tokenizer in it, such as `nysformer finetune` writes.
        options: of `Predictor.from_pretrained`: max_length, reading, overlap, tokens_per_batch, dtype, device.

    Raises:
        NysformerError: as `Predictor.from_pretrained`.

    Example:
        >>> import nysformer
        >>> predictor = nysformer.load("runs/demo")  # doctest: +SKIP
        >>> [answer.label for answer in predictor.predict(["Permission is hereby granted ..."])]  # doctest: +SKIP
        ['Permissive']
    """
    return Predictor.from_pretrained(model_dir, **options)
