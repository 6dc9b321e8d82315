"""Answer a stream of documents: results in the order of the input, memory bounded whatever its size."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import torch
from transformers import PreTrainedTokenizerBase

from nysformer.checkpoints.load import check_model, load_model, load_tokenizer
from nysformer.data.framing import Encoder
from nysformer.data.given import given_records
from nysformer.data.records import Item, Record, RecordError
from nysformer.errors import NysformerError
from nysformer.inference.limits import checked_limits, checked_numbers
from nysformer.inference.runner import TOKENS_PER_BATCH, Runner, windows
from nysformer.models import NystromformerPreTrainedModel
from nysformer.runtime.precision import Precision, check_precision, placed
from nysformer.tasks.base import Encoding, Example, Task
from nysformer.tasks.reading import Reading
from nysformer.tasks.registry import TASKS, task_of

__all__ = ["MOSTLY_UNKNOWN", "TOKENS_PER_BATCH", "Answered", "Predictor", "load"]

MOSTLY_UNKNOWN = 0.5
"""Above this share of unknown tokens a document's answer says little."""

Given: TypeAlias = str | Mapping[str, Any] | Item
"""A document that is handed over: a text, a row, or what a reader yields."""

_NO_TOKEN = "the tokenizer finds no token in the document"


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
        max_length: tokens that are read at a time, special ones included; None: as many as the model has positions for.
            What becomes of the rest of a longer document, `reading` says.
        tokens_per_batch: real tokens per batch; a longer document gets its own batch.
        reading: how a document that does not fit is read: whole (up to `max_length`), its head or tail, in windows, or
            its key sentences.
        task: what is asked; None: what the model's head answers.

    Attributes:
        task: knows the labels, where there are any.

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
        tokens_per_batch: int = TOKENS_PER_BATCH,
        reading: Reading | None = None,
        task: Task[Any, Any] | None = None,
    ) -> None:
        self.max_length, self.tokens_per_batch = checked_limits(model.config, tokenizer, max_length, tokens_per_batch)
        self.model = model
        self.tokenizer = tokenizer
        self.task = _task_of(model, tokenizer) if task is None else task
        self.reading = (reading or Reading()).on_side(tokenizer.truncation_side)
        self._encoder = Encoder(tokenizer, self.max_length)

    def __getstate__(self) -> dict[str, Any]:
        # The encoder holds a second tokenizer, which the first can make again.
        return {name: value for name, value in self.__dict__.items() if name != "_encoder"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._encoder = Encoder(self.tokenizer, self.max_length)

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
        tokens_per_batch: int = TOKENS_PER_BATCH,
        dtype: Precision = "float32",
        device: str | torch.device | None = None,
        reading: Reading | None = None,
    ) -> "Predictor":
        """Load a model folder, such as `nysformer finetune` writes; on a CPU the model goes through `optimize`.

        Args:
            model_dir: the folder, model and tokenizer in it.
            max_length, tokens_per_batch, reading: see the class.
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
        model = placed(load_model(model_dir), dtype, place)
        return cls(model, tokenizer, max_length=max_length, tokens_per_batch=tokens_per_batch, reading=reading)

    def predict(self, documents: Iterable[Given]) -> Iterator[Any]:
        """Answer documents as they come, in their order.

        Reading runs ahead by a bounded window, whose documents are batched by like length (see `runner.windows`).

        Args:
            documents: texts or rows (their line is their number, from 1), a DataFrame or a dataset, or the items of a
                reader; one text is one document.

        Returns:
            One answer per document, of the task's kind, such as a `Prediction`; a `RecordError` comes through at its
            place, and stands for whatever is not a text, is blank, gives no token, or lacks a column that is asked for.

        Raises:
            NysformerError: at once, for what cannot be documents, such as a table or a path; while reading the answers,
                if the model's answer is not a finite number (its weights are broken), or the memory does not suffice.
        """
        return _answers(self.answered(documents))

    def answered(self, documents: Iterable[Given], *, labelled: bool = False) -> Iterator[Answered | RecordError]:
        """As `predict`, with what the answers are made of.

        Args:
            documents: as in `predict`; labelled records where `labelled`.
            labelled: whether the examples get their targets.

        Raises:
            NysformerError: also for a label that is unusable, where `labelled`.
        """
        return self._answered(given_records(documents, layouts=self.task.own_layouts), labelled)

    def _answered(self, records: Iterator[Item], labelled: bool) -> Iterator[Answered | RecordError]:
        runner = Runner(self.model, self.task, self.tokens_per_batch)
        for window in windows(records, self.tokens_per_batch):
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
    texts: dict[int, list[str]] = {}
    items: list[Answered | RecordError | None] = [item if isinstance(item, RecordError) else None for item in window]
    for place, item in enumerate(window):
        if isinstance(item, Record):
            try:
                texts[place] = task.texts(item)
            except NysformerError as error:
                items[place] = _as_error(item, error)
    tokens = iter(encoder.tokens([text for found in texts.values() for text in found]))
    encodings: dict[int, Encoding] = {}
    for place, found in texts.items():
        record = window[place]
        assert isinstance(record, Record)
        own = [next(tokens) for _ in found]
        if not all(each.ids for each in own):
            items[place] = RecordError(record.source, record.line, _NO_TOKEN)
            continue
        try:
            encodings[place] = task.encode(record, own, encoder, reading, labelled=labelled)
        except NysformerError as error:
            if labelled:
                raise
            items[place] = _as_error(record, error)
    examples: list[Example] = [example for encoding in encodings.values() for example in encoding.examples]
    outputs = iter(runner(examples))
    for place, encoding in encodings.items():
        record = window[place]
        assert isinstance(record, Record)
        own_outputs = [next(outputs) for _ in encoding.examples]
        answer = task.decode(record, encoding, own_outputs)
        items[place] = Answered(record, encoding, own_outputs, answer)
    return [item for item in items if item is not None]


def _as_error(record: Record, error: NysformerError) -> RecordError:
    return RecordError(record.source, record.line, str(error).removeprefix(f"{record.place}: "))


def _task_of(model: NystromformerPreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> Task[Any, Any]:
    kind = task_of(model)
    if kind is None:
        raise NysformerError(
            f"{model.config.name_or_path or type(model).__name__}: a model without a head for a task; fine-tune it for "
            f"one of {', '.join(TASKS)}"
        )
    return kind.from_config(model.config, tokenizer)


def load(model_dir: str | Path, **options: Any) -> Predictor:
    """A model folder, ready to answer: `Predictor.from_pretrained` under the name that a user looks for first.

    Args:
        model_dir: the folder, model and tokenizer in it, such as `nysformer finetune` writes.
        options: of `Predictor.from_pretrained`: max_length, tokens_per_batch, dtype, device, reading.

    Raises:
        NysformerError: as `Predictor.from_pretrained`.

    Example:
        >>> import nysformer
        >>> predictor = nysformer.load("runs/demo")  # doctest: +SKIP
        >>> [answer.label for answer in predictor.predict(["Permission is hereby granted ..."])]  # doctest: +SKIP
        ['Permissive']
    """
    return Predictor.from_pretrained(model_dir, **options)
