"""Find the answer to a question in a document, as a span of its characters, or say that there is none.

Shapes: n tokens of the document without special ones.
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
from nysformer.data.reading import Column, Layout
from nysformer.data.records import Record
from nysformer.data.tables import Columns
from nysformer.data.values import UnusableValue, text_value, type_of, whole_number
from nysformer.errors import NysformerError
from nysformer.models import NystromformerConfig, NystromformerForQuestionAnswering
from nysformer.tasks.alignment import tight_offsets
from nysformer.tasks.base import Answer, Encoding, Example, Metric, Task, place_of
from nysformer.tasks.pieces import Piece, cut, merge, tokens_read
from nysformer.tasks.reading import Range, Reading

__all__ = ["MAX_ANSWER_TOKENS", "QuestionAnswering", "TextAnswer", "best_span"]

MAX_ANSWER_TOKENS = 64
"""No answer is longer; gold answers that are longer are still trained on."""


@dataclass(frozen=True, kw_only=True, repr=False)
class TextAnswer(Answer):
    """The answer to one question.

    Attributes:
        answer: `document[start:end]`, or "" where the model finds none.
        start, end: its characters; None where there is none.
        score: by how much the best span's logits are above those of "no answer".
    """

    answer: str
    start: int | None
    end: int | None
    score: float

    def fields(self, *, top_k: int | None = None) -> dict[str, Any]:
        return {"answer": self.answer, "start": self.start, "end": self.end, "score": self.score}


@dataclass(frozen=True, kw_only=True)
class ContextEncoding(Encoding):
    """An encoding that remembers the document: its text, what each example reads, and each token's characters."""

    context: str
    pieces: list[Piece]
    offsets: list[Range]


def _answers(value: object) -> tuple[tuple[int, int, str], ...]:
    """SQuAD's answers as ranges of characters with their text, from its object of lists or from a list of objects."""
    if isinstance(value, Mapping) and isinstance(value.get("text"), str):
        value = [value]
    try:
        if isinstance(value, Mapping):
            pairs = list(zip(value["text"], value["answer_start"], strict=True))
        else:
            pairs = [(answer["text"], answer["answer_start"]) for answer in value]  # type: ignore[attr-defined]
    except (KeyError, TypeError, ValueError) as error:
        raise UnusableValue(
            'not {"text": [...], "answer_start": [...]}, two lists of one length, nor a list of such objects'
        ) from error
    ranges = []
    for text, start in pairs:
        text_value(text)
        first = whole_number(start)
        ranges.append((first, first + len(text), text))
    return tuple(ranges)


def _span(value: object) -> tuple[tuple[int, int, None], ...]:
    """A range of characters, in the form of `_answers`."""
    if value is None:
        return ()
    ends = (value.get("start"), value.get("end")) if isinstance(value, Mapping) else value
    if not isinstance(ends, list | tuple) or len(ends) != 2:
        raise UnusableValue(f'of type {type_of(value)}; give [3, 9], {{"start": 3, "end": 9}} or null')
    return ((whole_number(ends[0]), whole_number(ends[1]), None),)


_QUESTION = Column("question", "the question", parse=text_value)


class QuestionAnswering(Task[TextAnswer, ContextEncoding]):
    """Extract answers from documents."""

    name = "question-answering"
    pipeline_tag = "question-answering"
    model_class = NystromformerForQuestionAnswering
    layouts = (
        Layout(
            Column("context", "the document"),
            Column(
                "answers", '{"text": [...], "answer_start": [...]}; empty lists: no answer', parse=_answers, nested=True
            ),
            (_QUESTION,),
        ),
        Layout(
            Column("text", "the document"),
            Column("span", "[start, end] of the answer, end excluded; null: no answer", parse=_span, nested=True),
            (_QUESTION,),
        ),
    )
    answer_columns: ClassVar[Columns] = {"answer": "text", "start": "whole", "end": "whole", "score": "number"}
    mistake_columns: ClassVar[Columns] = {"question": "text", "answers": "text", "predicted": "text"}

    @property
    def metrics(self) -> tuple[Metric, ...]:
        return (
            Metric("f1", "token F1"),
            Metric("exact_match", "exact match"),
            Metric("no_answer_accuracy", "accuracy of answer or none"),
        )

    @classmethod
    def from_records(
        cls, records: Iterable[Record], options: Mapping[str, Any], known: Task[Any, Any] | None = None
    ) -> QuestionAnswering:
        return cls()

    @classmethod
    def from_config(
        cls, config: NystromformerConfig, tokenizer: PreTrainedTokenizerBase | None = None
    ) -> QuestionAnswering:
        return cls()

    def texts(self, record: Record) -> list[str]:
        return [record.text, record.values["question"]]

    def encode(
        self, record: Record, tokens: Sequence[Tokens], encoder: Encoder, reading: Reading, *, labelled: bool
    ) -> ContextEncoding:
        context = record.text
        document, asked = tokens
        offsets = tight_offsets(context, document.offsets)
        frame = encoder.frame(asked.ids)
        pieces = cut(context, document, frame, reading, encoder.max_length)
        gold = _gold(record) if labelled else []
        return ContextEncoding(
            examples=[
                Example(
                    piece.input_ids,
                    piece.token_type_ids,
                    _targets(piece, offsets, gold) if labelled else {},
                )
                for piece in pieces
            ],
            length=len(document.ids) + len(frame),
            truncated=tokens_read(pieces) < len(document.ids),
            unknown=document.unknown,
            context=context,
            pieces=pieces,
            offsets=offsets,
        )

    def outputs(self, output: Any, batch: Mapping[str, Tensor], examples: Sequence[Example]) -> list[Any]:
        both = torch.stack([output.start_logits, output.end_logits], dim=-1).float().cpu().numpy()
        return [row[: len(example.input_ids)] for row, example in zip(both, examples, strict=True)]

    def decode(self, record: Record, encoding: ContextEncoding, outputs: Sequence[NDArray[np.float32]]) -> TextAnswer:
        logits, read = merge(encoding.pieces, outputs, len(encoding.offsets))
        visible = read & np.array([start < end for start, end in encoding.offsets])
        # The first token stands for "no answer", in every piece; the piece that is surest of an answer decides.
        none = min(float(output[0].sum()) for output in outputs)
        span = best_span(logits[:, 0], logits[:, 1], visible)
        score = -np.inf if span is None else span[2] - none
        if span is None or score <= 0:
            return TextAnswer(**place_of(record, encoding), answer="", start=None, end=None, score=float(score))
        start, end = encoding.offsets[span[0]][0], encoding.offsets[span[1]][1]
        return TextAnswer(
            **place_of(record, encoding),
            answer=encoding.context[start:end],
            start=start,
            end=end,
            score=float(score),
        )

    def measure(self) -> AnswerMeasure:
        return AnswerMeasure()

    def categories(self, record: Record) -> Sequence[str]:
        return ["answer" if _gold(record) else "no answer"]

    @property
    def label_names(self) -> Sequence[str]:
        return ["answer", "no answer"]

    def mistake(self, record: Record, answer: TextAnswer) -> dict[str, Any] | None:
        texts = [record.text[start:end] for start, end in _gold(record)]
        if answer.answer in (texts or [""]):
            return None
        return {"question": record.values["question"], "answers": texts, "predicted": answer.answer}


def best_span(
    start: NDArray[np.float32], end: NDArray[np.float32], allowed: NDArray[np.bool_], longest: int = MAX_ANSWER_TOKENS
) -> tuple[int, int, float] | None:
    """The first and last token of the span of at most `longest` tokens with the largest sum of logits, and that sum.

    Args:
        start, end: (n) logits.
        allowed: (n) where a span may begin and end.
        longest: tokens per span.

    Returns:
        None where no token is allowed.

    Example:
        >>> import numpy as np
        >>> best_span(np.array([0.0, 3.0, 0.0]), np.array([4.0, 0.0, 2.0]), np.array([True, True, True]))
        (1, 2, 5.0)
    """
    if not allowed.any():
        return None
    start, end = np.where(allowed, start, -np.inf), np.where(allowed, end, -np.inf)
    best: tuple[int, int, float] | None = None
    for width in range(min(longest, len(start))):
        sums = start[: len(start) - width] + end[width:]
        place = int(sums.argmax())
        if best is None or sums[place] > best[2]:
            best = place, place + width, float(sums[place])
    return best


class AnswerMeasure:
    """SQuAD's exact match and F1 over words, from 0 to 1, and how often "no answer" is right."""

    def __init__(self) -> None:
        from torchmetrics.text import SQuAD

        self.squad = SQuAD()
        self.documents = self.unanswerable = self.right_none = 0

    def add(
        self, record: Record, encoding: ContextEncoding, outputs: Sequence[NDArray[np.float32]], answer: TextAnswer
    ) -> None:
        gold = [encoding.context[start:end] for start, end in _gold(record)]
        texts = gold or [""]
        self.squad.update(
            [{"id": "", "prediction_text": answer.answer}],
            [{"id": "", "answers": {"text": texts, "answer_start": [0] * len(texts)}}],
        )
        self.documents += 1
        self.unanswerable += not gold
        self.right_none += (not gold) == (not answer.answer)

    def result(self) -> dict[str, Any]:
        scores = self.squad.compute()
        return {
            "documents": self.documents,
            "f1": float(scores["f1"]) / 100,
            "exact_match": float(scores["exact_match"]) / 100,
            "no_answer_accuracy": self.right_none / max(self.documents, 1),
            "unanswerable": self.unanswerable,
        }


def _targets(piece: Piece, offsets: Sequence[Range], gold: Sequence[Range]) -> dict[str, int]:
    """The first gold answer that the piece holds whole, as places in its ids; the first token where it holds none."""
    places = {token: piece.start + place for place, token in enumerate(piece.tokens.tolist())}
    for start, end in gold:
        inside = [token for token, (a, b) in enumerate(offsets) if a < end and b > start and a < b]
        if inside and all(token in places for token in inside):
            return {"start_positions": places[inside[0]], "end_positions": places[inside[-1]]}
    return {"start_positions": 0, "end_positions": 0}


def _gold(record: Record) -> list[Range]:
    """Characters of the gold answers."""
    context = record.text
    if record.label is None:
        raise NysformerError(f"{record.place}: no answers; label or remove the document")
    for start, end, text in record.label:
        if text is None and not 0 <= start < end <= len(context):
            raise NysformerError(
                f"{record.place}: the span {start} to {end} is empty or outside the text of {len(context)} characters; "
                "fix or remove the document"
            )
        if text is not None and (context[start:end] != text or start < 0):
            raise NysformerError(
                f"{record.place}: the answer {text!r} does not stand at character {start} of the context; fix or "
                "remove the document"
            )
    return [(start, end) for start, end, _ in record.label]
