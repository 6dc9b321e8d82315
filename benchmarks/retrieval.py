"""Search among documents that link to each other: whether what is found is what the author pointed to.

The documents are those of the Linux kernel. A query is the words around a link, and the document it links to is
relevant. Names of documents are removed from all texts: they would give the answer away.
"""

from __future__ import annotations

import posixpath
import re
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.metrics import ndcg_score

from benchmarks.output import say
from benchmarks.recipes.kernel_docs import kernel_texts
from benchmarks.recipes.registry import CACHE
from benchmarks.record import Record, show_table
from nysformer.demo.encoder import convert_minilm
from nysformer.inference.embed import Embedder, Embedding

__all__ = ["Collection", "links_of", "make_collection", "measure_retrieval"]

_FOLDER = Path("runs/recipes")
_NEAREST = 10
_PASSAGE = 128
_CONTEXT = 32
_SHORTEST, _LONGEST = 150, 4000
_WINDOW = 512
_LINK = re.compile(r":doc:`(?:[^`<]*<)?([^`<>]+)>?`|Documentation/([\w./-]+?\.rst)\b")

Scores = NDArray[np.float64]


class Collection:
    """Documents to search, queries, and which documents answer them.

    Attributes:
        texts: n documents.
        queries: q texts.
        of: (q) the document that each query was taken from; None where it is not among the n.
        relevant: (q, n) whether a document answers a query.
    """

    def __init__(self, texts: Sequence[str], queries: Sequence[str], of: Sequence[int | None], relevant: Any) -> None:
        self.texts, self.queries, self.of = list(texts), list(queries), list(of)
        self.relevant = np.asarray(relevant, dtype=bool)

    def ndcg(self, scores: Scores) -> float:
        """Mean nDCG@10 of (q, n) scores; a query's own document is left out."""
        found = []
        for row, (own, relevant) in enumerate(zip(self.of, self.relevant, strict=True)):
            others = np.arange(len(self.texts)) != own
            found.append(ndcg_score(relevant[None, others], scores[row][None, others], k=_NEAREST))
        return float(np.mean(found))


def measure_retrieval(words: int = 120_000) -> Record:
    """Mean nDCG@10 of TF-IDF and of MiniLM's vectors: per document, and of the best passage.

    Args:
        words: about how large the collection is.

    Raises:
        NysformerError: the documents cannot be downloaded.
    """
    collection = make_collection(kernel_texts(_FOLDER / CACHE), words)
    count = sum(len(text.split()) for text in collection.texts)
    say(f"{len(collection.texts)} documents of {count:,} words, {len(collection.queries)} queries")
    rows = []
    with tempfile.TemporaryDirectory() as temporary:
        model = convert_minilm(Path(temporary) / "encoder")
        for name, score in _methods(model, collection.texts).items():
            start = time.process_time()
            scores = score(collection.queries)
            row = {"method": name, "ndcg_at_10": collection.ndcg(scores), "cpu_seconds": time.process_time() - start}
            say(f"{name}: {row['ndcg_at_10']:.3f} in {row['cpu_seconds']:.0f} CPU seconds")
            rows.append(row)
    show_table("Links between documents of the Linux kernel", rows)
    notes = {
        "documents": len(collection.texts),
        "words": count,
        "queries": len(collection.queries),
        "query": f"{_CONTEXT} words before and after a link; relevant is what it links to",
        "passages": f"of at most {_PASSAGE} tokens; a document's score is that of its best one",
        "model": "all-MiniLM-L6-v2, converted",
        "windows": f"of {_WINDOW} tokens, overlapping by a quarter; the whole: 64 landmarks, not trained for it",
    }
    return Record("retrieval", "python -m benchmarks retrieval", rows, notes)


def links_of(name: str, text: str) -> Iterator[tuple[int, int, str]]:
    """The links in a text: their characters, and the document they point to, whether there is one or not.

    Example:
        >>> [each[2] for each in links_of("mm/ksm.rst", "See :doc:`slub`, :doc:`the guide </admin-guide/mm/index>`.")]
        ['mm/slub.rst', 'admin-guide/mm/index.rst']
        >>> list(links_of("mm/ksm.rst", "See Documentation/mm/hmm.rst."))
        [(4, 28, 'mm/hmm.rst')]
    """
    for match in _LINK.finditer(text):
        role, path = match.groups()
        target = path or (role[1:] if role.startswith("/") else f"{PurePosixPath(name).parent}/{role}")
        yield match.start(), match.end(), posixpath.normpath(target.strip()).removesuffix(".rst") + ".rst"


def make_collection(texts: Mapping[str, str], words: int, seed: int = 0) -> Collection:
    """Documents that others link to, drawn until they have about so many words, and a query per link to them.

    Args:
        texts: all documents, by name.
        words: of the collection.
        seed: of the draw.
    """
    usable = [name for name, text in texts.items() if _SHORTEST <= len(text.split()) <= _LONGEST]
    known = {name for name in usable if PurePosixPath(name).stem != "index"}
    links = {
        (source, target): (start, end)  # of several links from one document to another the first counts
        for source, text in texts.items()
        for start, end, target in reversed(list(links_of(source, text)))
        if target in known and target != source
    }
    targets = sorted({target for _, target in links})
    names: list[str] = []
    for place in np.random.default_rng(seed).permutation(len(targets)).tolist():
        words -= len(texts[targets[place]].split())
        if words < 0:
            break
        names.append(targets[place])
    asked = sorted((pair, span) for pair, span in links.items() if pair[1] in names)
    queries = [_around(texts[source], start, end) for (source, _), (start, end) in asked]
    of = [names.index(source) if source in names else None for (source, _), _ in asked]
    relevant = [[name == target for name in names] for (_, target), _ in asked]
    return Collection([_LINK.sub(" ", texts[name]) for name in names], queries, of, relevant)


def _around(text: str, start: int, end: int) -> str:
    before, after = (_LINK.sub(" ", part).split() for part in (text[:start], text[end:]))
    return " ".join([*before[-_CONTEXT:], *after[:_CONTEXT]])


def _methods(model: Path, texts: Sequence[str]) -> dict[str, Callable[[Sequence[str]], Scores]]:
    """Each gives (q, n) scores of queries; what it needs of the documents is made when it is asked."""
    shared: dict[str, list[Embedding]] = {}

    def embedder(**options: Any) -> Embedder:
        return Embedder.from_pretrained(model, device="cpu", **{"max_length": _WINDOW, **options})

    def late(max_length: int) -> list[Embedding]:
        return [
            each
            for each in embedder(passages=_PASSAGE, max_length=max_length).embed(texts)
            if isinstance(each, Embedding)
        ]

    def queries_of(queries: Sequence[str]) -> NDArray[np.float32]:
        return embedder().vectors(queries)

    def documents(queries: Sequence[str]) -> Scores:
        return (queries_of(queries) @ embedder().vectors(texts).T).astype(np.float64)

    def heads(queries: Sequence[str]) -> Scores:
        starts = [" ".join(text.split()[: _WINDOW // 2]) for text in texts]
        return (queries_of(queries) @ embedder().vectors(starts).T).astype(np.float64)

    def late_windows(queries: Sequence[str]) -> Scores:
        shared["windows"] = late(_WINDOW)
        return _best(queries_of(queries), [each.vectors for each in shared["windows"]])

    def late_whole(queries: Sequence[str]) -> Scores:
        return _best(queries_of(queries), [each.vectors for each in late(4096)])

    def passages_alone(queries: Sequence[str]) -> Scores:
        passages = [[passage.text for passage in each.passages or ()] for each in shared["windows"]]
        vectors = embedder().vectors([passage for one in passages for passage in one])
        ends = np.cumsum([len(one) for one in passages])
        return _best(queries_of(queries), np.split(vectors, ends[:-1]))

    return {
        "TF-IDF": lambda queries: _tfidf(queries, texts),
        "mean of the document": documents,
        "mean of its first 256 words": heads,
        "late chunking in windows of 512": late_windows,
        "the same passages, each by itself": passages_alone,
        "late chunking, whole by landmarks": late_whole,
    }


def _best(queries: NDArray[np.float32], passages: Sequence[NDArray[np.float32]]) -> Scores:
    """(q, n) the best score of each document's passages."""
    return np.stack([(queries @ vectors.T).max(axis=1) for vectors in passages], axis=1).astype(np.float64)


def _tfidf(queries: Sequence[str], texts: Sequence[str]) -> Scores:
    vectorizer = TfidfVectorizer(sublinear_tf=True, stop_words="english")
    vectors = vectorizer.fit_transform(texts)
    scores: Scores = (vectorizer.transform(queries) @ vectors.T).toarray()
    return scores
