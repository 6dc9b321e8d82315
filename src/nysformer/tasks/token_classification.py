"""Label the words or character spans of a document, such as names, parts of speech or dates.

Shapes: n tokens of the document without special ones, C tags.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from transformers import PreTrainedTokenizerBase

from nysformer.data.framing import Encoder, Tokens
from nysformer.data.labels import normal_label
from nysformer.data.reading import Column, Layout
from nysformer.data.records import Record
from nysformer.data.tables import Columns
from nysformer.data.values import UnusableValue, type_of, whole_number
from nysformer.errors import NysformerError
from nysformer.models import NystromformerConfig, NystromformerForTokenClassification
from nysformer.models.losses import IGNORED
from nysformer.tasks.alignment import (
    Span,
    check_spans,
    first_tokens,
    spans_of_tags,
    tags_of_spans,
    tight_offsets,
)
from nysformer.tasks.base import Answer, Encoding, Example, Metric, Task, place_of, softmax
from nysformer.tasks.pieces import Piece, cut, merge, tokens_read
from nysformer.tasks.reading import Range, Reading

__all__ = ["Entities", "Entity", "TokenClassification"]


@dataclass(frozen=True, slots=True)
class Entity:
    """A labelled part of a text: `text == document[start:end]`; the probability is the mean over its tokens."""

    label: str
    text: str
    start: int
    end: int
    probability: float


@dataclass(frozen=True, kw_only=True, repr=False)
class Entities(Answer):
    """What was found in one document, in order.

    Attributes:
        entities: labelled spans, where tags are IOB2 (B-..., I-..., O).
        tags: one per token of the input, where the input came as tokens; None where it came as text.
    """

    entities: tuple[Entity, ...]
    tags: tuple[str, ...] | None = None

    def fields(self, *, top_k: int | None = None) -> dict[str, Any]:
        return {
            "entities": [
                {
                    "label": entity.label,
                    "text": entity.text,
                    "start": entity.start,
                    "end": entity.end,
                    "probability": entity.probability,
                }
                for entity in self.entities
            ],
            "tags": None if self.tags is None else list(self.tags),
        }


@dataclass(frozen=True, kw_only=True)
class TokenEncoding(Encoding):
    """An encoding that remembers where everything came from.

    Attributes:
        text: the document; tokens given one by one are joined by blanks.
        pieces: what each example reads.
        offsets: (n) characters of each token.
        units: characters of what is tagged: the words where the input came as tokens, else the tokens themselves.
        firsts: the token that stands for each unit; None where the tokenizer gives it none.
        as_words: whether the input came as tokens.
        tags: the units' true tags; None where unlabelled.
    """

    text: str
    pieces: list[Piece]
    offsets: list[Range]
    units: list[Range]
    firsts: list[int | None]
    as_words: bool
    tags: list[str] | None


def _tags(value: object) -> tuple[str, ...]:
    if not isinstance(value, list | tuple):
        raise UnusableValue(f"of type {type_of(value)}, not a list of tags, one per word")
    for number, tag in enumerate(value, start=1):
        if isinstance(tag, bool) or not isinstance(tag, str | int) or not str(tag).strip():
            raise UnusableValue(f"item {number} ({tag!r}) is no tag; tags are texts or whole numbers")
    return tuple(str(tag).strip() for tag in value)


def _spans(value: object) -> tuple[Span, ...]:
    """Spans from a list of objects, or of [start, end, label], or from an object of lists."""
    try:
        if isinstance(value, Mapping):
            rows = list(zip(value["start"], value["end"], value["label"], strict=True))
        else:
            rows = [
                (span["start"], span["end"], span["label"]) if isinstance(span, Mapping) else tuple(span)
                for span in value  # type: ignore[attr-defined]
            ]
        spans = [Span(whole_number(start), whole_number(end), normal_label(label)) for start, end, label in rows]
    except (KeyError, TypeError, ValueError) as error:
        reason = f" ({error})" if isinstance(error, UnusableValue) else ""
        raise UnusableValue(f'not a list of {{"start": 3, "end": 9, "label": "NAME"}}{reason}') from error
    return tuple(spans)


class TokenClassification(Task[Entities, TokenEncoding]):
    """Tag the tokens of documents.

    Args:
        tags: their names, in the order of the model's outputs.
    """

    name = "token-classification"
    pipeline_tag = "token-classification"
    model_class = NystromformerForTokenClassification
    head = "token classification"
    layouts = (
        Layout(
            Column("tokens", "list of words", nested=True),
            Column("tags", "list of tags, one per word (IOB2 for entities)", parse=_tags, nested=True),
        ),
        Layout(
            Column("text", "the document, in place of tokens"),
            Column("spans", 'list of {"start", "end", "label"}, in characters of `text`', parse=_spans, nested=True),
        ),
    )
    targets_per_token: ClassVar[bool] = True
    answer_columns: ClassVar[Columns] = {"entities": "text", "tags": "text"}
    mistake_columns: ClassVar[Columns] = {"missed": "text", "spurious": "text", "wrong": "text"}

    def __init__(self, tags: Sequence[str]) -> None:
        self.tags = list(tags)
        self._index = {tag: number for number, tag in enumerate(self.tags)}
        self.has_entities = any(tag.startswith("B-") for tag in self.tags) and all(
            tag == "O" or tag[:2] in ("B-", "I-") for tag in self.tags
        )

    @property
    def metrics(self) -> tuple[Metric, ...]:
        tag_metrics = (Metric("accuracy", "tag accuracy"), Metric("macro_f1", "macro-F1 of tags"))
        if not self.has_entities:
            return (*tag_metrics, Metric("loss", "loss", greater_is_better=False))
        entity_metrics = (
            Metric("f1", "entity F1"),
            Metric("precision", "entity precision"),
            Metric("recall", "entity recall"),
        )
        return (*entity_metrics, *tag_metrics, Metric("loss", "loss", greater_is_better=False))

    @classmethod
    def from_records(
        cls,
        records: Iterable[Record],
        options: Mapping[str, Any],
        known: Task[Any, Any] | None = None,
        tokenizer: PreTrainedTokenizerBase | None = None,
    ) -> TokenClassification:
        found: set[str] = set()
        for record in records:
            if record.words is not None:
                found.update(record.label)
            else:
                found.update(f"{prefix}-{label}" for _, _, label in record.label for prefix in "BI")
                found.add("O")
        if len(found) < 2:
            raise NysformerError("tags: the documents have fewer than two; give documents with tags or spans")
        if isinstance(known, TokenClassification) and set(known.tags) == found:
            return cls(known.tags)
        return cls(sorted(found))

    @classmethod
    def from_config(
        cls, config: NystromformerConfig, tokenizer: PreTrainedTokenizerBase | None = None
    ) -> TokenClassification:
        return cls([str(config.id2label[index]) for index in range(config.num_labels)])

    def config_fields(self) -> dict[str, Any]:
        return {"id2label": dict(enumerate(self.tags)), "label2id": dict(self._index)}

    def texts(self, record: Record) -> list[str]:
        return [record.text]

    def encode(
        self, record: Record, tokens: Sequence[Tokens], encoder: Encoder, reading: Reading, *, labelled: bool
    ) -> TokenEncoding:
        (document,) = tokens
        text, as_words = record.text, record.words is not None
        offsets = tight_offsets(text, document.offsets)
        units = offsets if record.words is None else _places(record.words)
        firsts: list[int | None] = (
            first_tokens(units, offsets) if as_words else [i if a < b else None for i, (a, b) in enumerate(offsets)]
        )
        tags = self._true_tags(record, text, units, as_words) if labelled else None
        targets = np.full(len(document.ids), IGNORED, dtype=np.int64)
        if tags is not None:
            for first, tag in zip(firsts, tags, strict=True):
                if first is not None:
                    targets[first] = self._number(tag, record)
        pieces = cut(text, document, encoder.frame(), reading, encoder.max_length)
        return TokenEncoding(
            examples=[
                Example(
                    piece.input_ids,
                    piece.token_type_ids,
                    {"labels": piece.spread(targets, IGNORED).tolist()} if labelled else {},
                )
                for piece in pieces
            ],
            length=encoder.frame().length(document.ids),
            truncated=tokens_read(pieces) < len(document.ids),
            unknown=document.unknown,
            text=text,
            pieces=pieces,
            offsets=offsets,
            units=units,
            firsts=firsts,
            as_words=as_words,
            tags=tags,
        )

    def _true_tags(self, record: Record, text: str, units: list[Range], as_words: bool) -> list[str]:
        if record.label is None:
            raise NysformerError(f"{record.place}: no tags and no spans; label or remove the document")
        if as_words:
            tags = list(record.label)
            if len(tags) != len(units):
                raise NysformerError(f"{record.place}: {len(units)} tokens but {len(tags)} tags; give one per token")
            return tags
        spans = [Span(*span) for span in record.label]
        check_spans(spans, text, record.place)
        return tags_of_spans(spans, units)

    def _number(self, tag: str, record: Record) -> int:
        if tag not in self._index:
            known = ", ".join(self.tags[:10]) + (", ..." if len(self.tags) > 10 else "")
            raise NysformerError(f"{record.place}: the tag {tag!r} is none of the model's ({known}); fix or remove it")
        return self._index[tag]

    def decode(self, record: Record, encoding: TokenEncoding, outputs: Sequence[NDArray[np.float32]]) -> Entities:
        probabilities, read = self._probabilities(encoding, outputs)
        best = probabilities.argmax(axis=1)
        tags = ["O" if first is None or not read[first] else self.tags[best[first]] for first in encoding.firsts]
        entities = []
        if self.has_entities:
            chance = probabilities.max(axis=1)
            for span in spans_of_tags(tags, encoding.units):
                inside = [i for i, (a, b) in enumerate(encoding.offsets) if span.start <= a < span.end and a < b]
                share = float(chance[inside].mean()) if inside else 0.0
                text = encoding.text[span.start : span.end]
                entities.append(Entity(span.label, text, span.start, span.end, share))
        return Entities(
            **place_of(record, encoding),
            entities=tuple(entities),
            tags=tuple(tags) if encoding.as_words else None,
        )

    def _probabilities(
        self, encoding: TokenEncoding, outputs: Sequence[NDArray[np.float32]]
    ) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """(n, C) probabilities of all tokens, windows averaged, and (n,) whether a token was read."""
        logits, read = merge(encoding.pieces, outputs, len(encoding.offsets))
        return softmax(logits), read

    def measure(self) -> TagMeasure:
        return TagMeasure(self)

    def categories(self, record: Record) -> Sequence[str]:
        """The labels of the spans, or the tags, that the record has, each once."""
        return sorted(set(record.label) if record.words is not None else {label for _, _, label in record.label})

    @property
    def label_names(self) -> Sequence[str]:
        return sorted({tag[2:] for tag in self.tags if tag[1:2] == "-"}) if self.has_entities else self.tags

    def mistake(self, record: Record, answer: Entities) -> dict[str, Any] | None:
        """Entities that were missed and that are none, or, where tags are no entities, the words that got another."""
        if not self.has_entities:
            pairs = zip(record.label, answer.tags or (), strict=True)
            wrong = [
                {"token": place, "tag": tag, "predicted": got} for place, (tag, got) in enumerate(pairs) if tag != got
            ]
            return {"missed": None, "spurious": None, "wrong": wrong} if wrong else None
        words = record.words
        true = set(map(Span._make, record.label) if words is None else spans_of_tags(record.label, _places(words)))
        found = {Span(entity.start, entity.end, entity.label) for entity in answer.entities}
        if true == found:
            return None

        def listed(spans: set[Span]) -> list[dict[str, Any]]:
            return [{**span._asdict(), "text": record.text[span.start : span.end]} for span in sorted(spans)]

        return {"missed": listed(true - found), "spurious": listed(found - true), "wrong": None}


class TagMeasure:
    """Entity and tag metrics, over units; a unit that is not read counts as tagged O."""

    def __init__(self, task: TokenClassification) -> None:
        self.task = task
        self.true: list[list[str]] = []
        self.found: list[list[str]] = []
        self.loss = 0.0
        self.units = 0

    def add(
        self, record: Record, encoding: TokenEncoding, outputs: Sequence[NDArray[np.float32]], answer: Entities
    ) -> None:
        assert encoding.tags is not None
        probabilities, read = self.task._probabilities(encoding, outputs)
        found = []
        for first, tag in zip(encoding.firsts, encoding.tags, strict=True):
            seen = first is not None and bool(read[first])
            found.append(self.task.tags[int(probabilities[first].argmax())] if seen else "O")
            if seen:
                chance = float(probabilities[first, self.task._number(tag, record)])
                self.loss -= math.log(max(chance, 1e-30))
                self.units += 1
        self.true.append(list(encoding.tags))
        self.found.append(found)

    def result(self) -> dict[str, Any]:
        from sklearn.metrics import accuracy_score, f1_score

        true = [tag for tags in self.true for tag in tags]
        found = [tag for tags in self.found for tag in tags]
        scores: dict[str, Any] = {
            "documents": len(self.true),
            "tokens": len(true),
            "accuracy": float(accuracy_score(true, found)),
            "macro_f1": float(f1_score(true, found, average="macro", zero_division=0.0)),
            "loss": self.loss / max(self.units, 1),
        }
        return scores | (self._entity_scores() if self.task.has_entities else {})

    def _entity_scores(self) -> dict[str, Any]:
        from seqeval.metrics import classification_report

        labels = {tag[2:] for tags in (*self.true, *self.found) for tag in tags if tag != "O"}
        if not labels:
            return {"precision": 0.0, "recall": 0.0, "f1": 0.0, "per_class": {}}
        report = classification_report(self.true, self.found, output_dict=True, zero_division=0)

        def row(name: str) -> dict[str, float | int]:
            return {
                "precision": float(report[name]["precision"]),
                "recall": float(report[name]["recall"]),
                "f1": float(report[name]["f1-score"]),
                "entities": int(report[name]["support"]),
            }

        return {**row("micro avg"), "per_class": {name: row(name) for name in sorted(labels)}}


def _places(words: Sequence[str]) -> list[Range]:
    """Where each of the words stands in their text, which has a blank between two."""
    units, place = [], 0
    for word in words:
        units.append((place, place + len(word)))
        place += len(word) + 1
    return units
