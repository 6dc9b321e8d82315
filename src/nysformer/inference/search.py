"""Search by meaning: the documents or passages whose vectors are nearest to that of a query."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeAlias

import torch

from nysformer.errors import NysformerError
from nysformer.inference.embed import Embedder
from nysformer.inference.embed_file import probe_of
from nysformer.inference.embed_shards import same_model
from nysformer.inference.vector_index import VectorIndex, open_index
from nysformer.runtime.options import Precision

__all__ = ["Hit", "Per", "Searcher"]

Per: TypeAlias = Literal["passage", "document"]
"""What an answer is: any passage, or the best passage of each document. An index of whole documents has no passages."""

_PASSAGE = ("start", "end", "text")
# Relative difference of two probes: MiniLM in bfloat16 differs by .01 from float32, in int8 by .17; another model by 1.
_TOLERANCE = 0.3


@dataclass(frozen=True, slots=True)
class Hit:
    """One answer.

    Attributes:
        rank: from 1.
        score: cosine of its vector and the query's, from -1 to 1.
        source, line: the document's place; `line` is None where the whole file is the document.
        start, end: the passage's characters in the document, half-open; None where the index has whole documents.
        text: the passage; None alike.
        columns: kept by `nysformer embed`.
    """

    rank: int
    score: float
    source: str
    line: int | None
    start: int | None = None
    end: int | None = None
    text: str | None = None
    columns: Mapping[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """As a line of JSON holds it: without what it does not have, the score to six decimals.

        A column named like one of these fields gets the prefix "input_".
        """
        row = {"rank": self.rank, "score": round(self.score, 6), "source": self.source, "line": self.line}
        passage = {} if self.text is None else {"start": self.start, "end": self.end, "text": self.text}
        columns = {f"input_{name}" if name in row else name: value for name, value in self.columns.items()}
        return {**row, **columns, **passage}


class Searcher:
    """An index and the model that made it, ready for queries. Threads may share it.

    Args:
        index: see `open_index`.
        embedder: of the model, with the pooling and the `normalize` that the index was made with.

    Raises:
        NysformerError: the index was made with another model.

    Example:
        >>> searcher = Searcher.from_pretrained("passages.parquet", "encoder")  # doctest: +SKIP
        >>> [hit.text for hit in searcher.search("may be copied freely", top=1)]  # doctest: +SKIP
        ['Permission is hereby granted, free of charge, ...']
    """

    def __init__(self, index: VectorIndex, embedder: Embedder) -> None:
        if not same_model(index.about["probe"], probe_of(embedder), _TOLERANCE):
            raise NysformerError(f"{index.path}: made with another model; name the one that embedded it")
        self.index = index
        self.embedder = embedder

    @classmethod
    def from_pretrained(
        cls,
        index: str | Path,
        model_dir: str | Path,
        *,
        dtype: Precision = "float32",
        device: str | torch.device | None = None,
    ) -> "Searcher":
        """Open an index and load the model folder that embedded it.

        Args:
            index: a file of `nysformer embed`, or a folder of `nysformer index`.
            model_dir: the folder, model and tokenizer in it.
            dtype, device: see `Embedder.from_pretrained`.

        Raises:
            NysformerError: as the class, `open_index` and `Embedder.from_pretrained`.
        """
        opened = open_index(index)
        settings = opened.about["settings"]
        options = {name: settings[name] for name in ("pooling", "normalize", "max_length", "overlap")}
        return cls(opened, Embedder.from_pretrained(model_dir, dtype=dtype, device=device, **options))

    def search(self, query: str, *, top: int = 10, per: Per = "passage") -> list[Hit]:
        """The nearest documents or passages, the nearest first; at most `top`.

        Args:
            query: a text of any length.
            top: how many, at least 1.
            per: see `Per`.

        Raises:
            NysformerError: an empty query, a `top` below 1, an unknown `per`; a damaged index.
        """
        if not query.strip():
            raise NysformerError("query: the text is empty; give some words")
        if top < 1:
            raise NysformerError(f"top: {top} answers are none; give at least 1")
        if per not in ("passage", "document"):
            raise NysformerError(f"per: {per!r} is unknown; choose passage or document")
        vector = self.embedder.vectors([query])[0]
        wanted = top
        while True:
            rows, scores = self.index.nearest(vector, wanted)
            found = list(zip(map(self.index.place, rows.tolist()), scores.tolist(), strict=True))
            if per == "document":
                best: dict[tuple[str, int | None], tuple[dict[str, Any], float]] = {}
                for place, score in found:
                    best.setdefault((place["source"], place["line"]), (place, score))
                found = list(best.values())
            if len(found) >= top or len(rows) < wanted or wanted >= self.index.count:
                break
            wanted *= 4
        passages = self.index.about["settings"]["passages"] != "none"
        return [_hit(rank, place, score, passages) for rank, (place, score) in enumerate(found[:top], start=1)]


def _hit(rank: int, place: dict[str, Any], score: float, passages: bool) -> Hit:
    ours = ("source", "line", *(_PASSAGE if passages else ()))
    columns = {name: value for name, value in place.items() if name not in ours}
    return Hit(rank, score, **{name: place[name] for name in ours}, columns=columns)
