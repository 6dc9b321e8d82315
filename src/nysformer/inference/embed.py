"""Embed documents: one vector per document, or one per passage out of a single pass over the whole document.

Shapes: n tokens of a document without special ones; P of a window with them; k vectors of a document; D hidden size.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import PreTrainedTokenizerBase

from nysformer.checkpoints.load import check_model, load_model, load_tokenizer
from nysformer.data.framing import Encoder, Tokens
from nysformer.data.given import given_records
from nysformer.data.records import Item, Record, RecordError
from nysformer.errors import NysformerError
from nysformer.inference.hidden import hidden_states
from nysformer.inference.limits import checked_limits, trained_length
from nysformer.inference.options import TOKENS_PER_BATCH
from nysformer.inference.runner import windows
from nysformer.inference.sentence_folder import Pooling, read_sentence_folder
from nysformer.models import NystromformerPreTrainedModel
from nysformer.runtime.options import Precision
from nysformer.runtime.precision import check_precision, placed
from nysformer.tasks.passages import Passage, Passages, as_passages, passage_ranges, passages_of
from nysformer.tasks.pieces import Piece, cut
from nysformer.tasks.reading import Reading

__all__ = ["Embedder", "Embedding", "Pooling"]

OVERLAP = 0.25
"""The share of a window that the next one repeats."""

POOLINGS: tuple[Pooling, ...] = ("mean", "first")


@dataclass(frozen=True, slots=True, eq=False)
class Embedding:
    """The vectors of one document.

    Attributes:
        source: the file, or "document".
        line: from 1; None where the whole file is the document.
        vectors: (k, D) float32, one per passage, or one for the whole document.
        passages: (k) the characters of each; None where the document is not cut.
        length: in tokens, special ones included.
        windows: how many the document was read in; 1 where it fits the model.
        unknown: share of unknown tokens, from 0 to 1.
        columns: the other columns of the document's row, as they were read.
    """

    source: str
    line: int | None
    vectors: NDArray[np.float32]
    passages: list[Passage] | None
    length: int
    windows: int
    unknown: float = 0.0
    columns: Mapping[str, object] = field(default_factory=dict)

    def __repr__(self) -> str:
        """Its place and its numbers' shape, not the numbers."""
        place = self.source if self.line is None else f"{self.source}:{self.line}"
        count, size = self.vectors.shape
        return f"Embedding({place}, {count} x {size}, {self.length} tokens)"


class Embedder:
    """An encoder and its tokenizer, ready to embed documents of any number and length.

    A document longer than the model's positions is read in overlapping windows, and where they overlap a token's state
    is the mean over them, so every token counts. With `passages` the whole document is read first and cut afterwards
    (late chunking): a passage's vector is the mean of its tokens, each of which has seen the text around the passage.

    A document's vectors do not depend on the documents that share its batch. Threads may share an embedder.

    Args:
        model: with a head or without; the head is not used. In evaluation mode, on the device it is to run on.
        tokenizer: the model's; it is left as it is.
        pooling: of whole documents. "mean": over all tokens, special ones included, as sentence-transformers does.
            "first": the first token's state.
        passages: see `nysformer.tasks.passages.Passages`. Special tokens are part of no passage.
        normalize: scale every vector to length 1.
        max_length: tokens that the model reads at a time; None: as many as a converted encoder has been trained on
            (`softmax_max_length`), any other has positions for. More is for one trained further at that length.
        overlap: the share of a window that the next one repeats, from 0 to below 1.
        tokens_per_batch: real tokens per batch; a longer window gets its own batch.

    Attributes:
        dimension: D.

    Raises:
        NysformerError: an argument out of its range; "first" with passages; a tokenizer that is not the model's or does
            not say which characters a token stands for.

    Example:
        >>> embedder = Embedder.from_pretrained("encoder")  # doctest: +SKIP
        >>> embedder.vectors(["May be copied freely.", "All rights reserved."]).shape  # doctest: +SKIP
        (2, 384)
    """

    def __init__(
        self,
        model: NystromformerPreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        *,
        pooling: Pooling = "mean",
        passages: Passages = "none",
        normalize: bool = True,
        max_length: int | None = None,
        overlap: float = OVERLAP,
        tokens_per_batch: int = TOKENS_PER_BATCH,
    ) -> None:
        self.pooling, self.passages = _checked(pooling, passages)
        config = model.config
        self.max_length, self.tokens_per_batch = checked_limits(
            config, tokenizer, trained_length(config) if max_length is None else max_length, tokens_per_batch
        )
        self.reading = Reading(strategy="windows", overlap=overlap)
        self.normalize = normalize
        self.tokenizer = tokenizer
        self.model = model.base_model
        self.dimension: int = config.hidden_size
        self._encoder = Encoder(tokenizer, self.max_length)
        self._frame = self._encoder.frame()

    @classmethod
    def from_pretrained(
        cls,
        model_dir: str | Path,
        *,
        pooling: Pooling | None = None,
        passages: Passages = "none",
        dtype: Precision = "float32",
        device: str | torch.device | None = None,
        **options: Any,
    ) -> "Embedder":
        """Load a model folder: an encoder, a model with any head, or a folder of sentence-transformers.

        Args:
            model_dir: the folder, model and tokenizer in it.
            pooling: None for what a folder of sentence-transformers says, else "mean".
            passages: see the class.
            dtype: of weights and arithmetic; the vectors are float32 always. "int8" is for a CPU: the encoder's
                products in int8, the rest in bfloat16 where the processor has it.
            device: as torch names it ("cpu", "cuda:1", "mps"); None: the first GPU, else the CPU.
            options: of the class: normalize, max_length, overlap, tokens_per_batch.

        Raises:
            NysformerError: as the class; no such folder, a damaged checkpoint, no tokenizer, an unknown dtype or
                device.
        """
        _checked(pooling or "mean", passages)
        place = check_precision(dtype, device)
        folder = read_sentence_folder(model_dir)
        if passages != "none" and pooling is None and folder.pooling == "first":
            raise NysformerError(
                f"{model_dir}: the folder's pooling is 'first', and passages are means of their tokens; give "
                "pooling='mean' to have them all the same"
            )
        check_model(folder.model)
        tokenizer = load_tokenizer(folder.model)
        model = placed(load_model(folder.model).base_model, dtype, place)
        return cls(model, tokenizer, pooling=pooling or folder.pooling or "mean", passages=passages, **options)

    def embed(self, documents: Iterable[str | Item]) -> Iterator[Embedding | RecordError]:
        """Embed documents as they come, in their order; reading runs ahead of the answers by a bounded window.

        Args:
            documents: texts (their line is their number, from 1), or the items of a reader; one text is one document.

        Returns:
            One answer per document; a `RecordError` comes through at its place, and stands for whatever is not a text,
            is blank, or gives no token.

        Raises:
            NysformerError: at once, for what cannot be documents, such as a table or a path; while reading the answers,
                if the model's states are not finite numbers, or the memory does not suffice.
        """
        return self._embeddings(given_records(documents))

    def vectors(self, texts: Iterable[str]) -> NDArray[np.float32]:
        """(number of texts, D): one vector per text, whatever `passages` says.

        Raises:
            NysformerError: a text that cannot be embedded, with its number; as `embed`.
        """
        found: list[NDArray[np.float32]] = []
        for window in windows(given_records(texts), self.tokens_per_batch):
            for answer in self._answers(window, "none"):
                if isinstance(answer, RecordError):
                    raise NysformerError(f"{answer}; give another text")
                found.append(answer.vectors)
        return np.concatenate(found) if found else np.zeros((0, self.dimension), dtype=np.float32)

    def _embeddings(self, records: Iterator[Item]) -> Iterator[Embedding | RecordError]:
        for window in windows(records, self.tokens_per_batch):
            yield from self._answers(window, self.passages)

    def _answers(self, window: Sequence[Record | RecordError], passages: Passages) -> list[Embedding | RecordError]:
        documents = [item for item in window if isinstance(item, Record)]
        tokens = iter(self._encoder.tokens([document.text for document in documents]))
        plans = [self._plan(item, next(tokens), passages) if isinstance(item, Record) else item for item in window]
        works = [(plan, number) for plan in plans if isinstance(plan, _Plan) for number in range(len(plan.pieces))]
        pieces = [plan.pieces[number] for plan, number in works]
        found = hidden_states(
            self.model,
            [piece.input_ids for piece in pieces],
            [piece.token_type_ids for piece in pieces],
            self.tokens_per_batch,
        )
        for place, states in found:
            plan, number = works[place]
            plan.add(number, states)
        return [self._embedding(plan) if isinstance(plan, _Plan) else plan for plan in plans]

    def _plan(self, document: Record, tokens: Tokens, passages: Passages) -> "_Plan | RecordError":
        if not tokens.ids:
            return RecordError(document.source, document.line, "the tokenizer finds no token in the document")
        pieces = cut(document.text, tokens, self._frame, self.reading, self.max_length)
        times = np.zeros(len(tokens.ids), dtype=np.int64)
        for piece in pieces:
            times[piece.tokens] += 1
        ranges = None if passages == "none" else np.array(passage_ranges(document.text, tokens, passages))
        first = ranges is None and self.pooling == "first"
        sums = np.zeros((1 if ranges is None else len(ranges), self.dimension))
        return _Plan(document, tokens, pieces, times, ranges, first, sums)

    def _embedding(self, plan: "_Plan") -> Embedding:
        document, tokens = plan.document, plan.tokens
        sums = plan.sums
        if self.normalize:
            sums = sums / np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), np.finfo(np.float32).tiny)
        return Embedding(
            document.source,
            document.line,
            sums.astype(np.float32),
            None if plan.ranges is None else passages_of(document.text, tokens.offsets, plan.ranges.tolist()),
            len(tokens.ids) + len(self._frame),
            len(plan.pieces),
            tokens.unknown,
            document.columns,
        )


@dataclass(slots=True)
class _Plan:
    """How one document is read, and what was read of it.

    Attributes:
        pieces: its windows.
        times: (n) how many windows read each token.
        ranges: (k, 2) tokens of its passages, which cover it; None for one vector of all.
        first: whether that vector is the first token's state.
        sums: (k, D) weighted sums of states, whose weights sum to 1 once every piece is added; float64.
    """

    document: Record
    tokens: Tokens
    pieces: list[Piece]
    times: NDArray[np.int64]
    ranges: NDArray[np.int64] | None
    first: bool
    sums: NDArray[np.float64]

    def add(self, number: int, states: NDArray[np.float32]) -> None:
        """Add the states of one window, (P, D). Where windows overlap, each counts as its share."""
        piece = self.pieces[number]
        if self.first:
            self.sums[0] += states[0] / len(self.pieces)
            return
        inside = slice(piece.start, piece.start + len(piece.tokens))
        shares = np.full(len(states), 1 / len(self.pieces))
        shares[inside] = 1 / self.times[piece.tokens]
        if self.ranges is None:
            special = len(states) - len(piece.tokens)
            self.sums[0] += shares @ states / (len(self.times) + special)
            return
        begins, ends = self.ranges.T
        start, end = piece.tokens[0], piece.tokens[-1] + 1
        met = slice(np.searchsorted(ends, start, side="right"), np.searchsorted(begins, end))
        weighted = shares[inside, None] * states[inside]
        parts = np.add.reduceat(weighted, np.maximum(begins[met] - start, 0), axis=0)
        self.sums[met] += parts / (ends - begins)[met, None]


def _checked(pooling: object, passages: object) -> tuple[Pooling, Passages]:
    if pooling not in POOLINGS:
        raise NysformerError(f"pooling: {pooling!r} is unknown; choose {' or '.join(POOLINGS)}")
    cuts = as_passages(passages)
    if pooling == "first" and cuts != "none":
        raise NysformerError(
            "pooling: 'first' is for whole documents, and passages are means of their tokens; give pooling='mean' or "
            "passages='none'"
        )
    return "first" if pooling == "first" else "mean", cuts
