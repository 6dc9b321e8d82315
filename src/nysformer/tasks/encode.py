"""Records to what a model reads, several in one call of the tokenizer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nysformer.data.framing import Encoder
from nysformer.data.records import Record, RecordError
from nysformer.errors import NysformerError
from nysformer.tasks.base import Encoding, Task
from nysformer.tasks.reading import Reading

__all__ = ["encode_records"]

_NO_TOKEN = "the tokenizer finds no token in the document"


def encode_records(
    records: Sequence[Record], task: Task[Any, Any], encoder: Encoder, reading: Reading, *, labelled: bool
) -> list[Encoding | RecordError]:
    """Encode records together.

    Args:
        records: n of them.
        task: of the model.
        encoder: of the model's tokenizer.
        reading: how a document that does not fit is read.
        labelled: whether the examples get their targets.

    Returns:
        n encodings, or what is wrong with a record.

    Raises:
        NysformerError: a label that is unusable, where `labelled`.
    """
    texts = [task.texts(record) for record in records]
    tokens = iter(encoder.tokens([text for own in texts for text in own]))
    encodings: list[Encoding | RecordError] = []
    for record, own_texts in zip(records, texts, strict=True):
        own = [next(tokens) for _ in own_texts]
        if not all(each.ids for each in own):
            encodings.append(RecordError(record.source, record.line, _NO_TOKEN))
            continue
        try:
            encodings.append(task.encode(record, own, encoder, reading, labelled=labelled))
        except NysformerError as error:
            if labelled:
                raise
            reason = str(error).removeprefix(f"{record.place}: ")
            encodings.append(RecordError(record.source, record.line, reason))
    return encodings
