"""The licence corpus: whole licence texts with an expert's category, read from the package `licensedcode-data`.

The texts and categories are ScanCode's (CC-BY-4.0). Files are `licenses/*.LICENSE` and, for variants of a licence as
they were found in the wild, `rules/*.RULE`; both are a YAML header between two lines of dashes and a text.
"""

import json
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import yaml

from nysformer.data.groups import near_duplicate_groups, split_by_group
from nysformer.errors import NysformerError
from nysformer.files.atomic import write_atomically
from nysformer.files.cache import read_record, write_record
from nysformer.files.locks import lock_folder

__all__ = [
    "CATEGORIES",
    "LicenceCorpus",
    "LicenceDocument",
    "build_licence_corpus",
    "licence_data",
    "licence_text",
    "parse_entry",
    "read_licences",
]

PACKAGE = "licensedcode-data"
CATEGORIES = (
    "Commercial",
    "Copyleft",
    "Copyleft Limited",
    "Free Restricted",
    "Permissive",
    "Proprietary Free",
    "Public Domain",
    "Source-available",
)
MIN_WORDS = 200
THRESHOLD = 0.85
SPLITS = ("train", "valid", "test")
SPLIT_FILE = "split.json"


@dataclass(frozen=True)
class LicenceDocument:
    """One licence text: where it stands in the package, the licence it is a text of, that licence's category."""

    id: str
    key: str
    label: str
    text: str


@dataclass(frozen=True)
class LicenceCorpus:
    """A corpus on disk: three JSONL files with `id`, `label`, `group` and `text`, and the split that made them.

    `documents` counts by split, `groups` is the number of near-duplicate groups over all of them.
    """

    directory: Path
    documents: dict[str, int]
    groups: int
    seed: int
    package: str

    @property
    def train(self) -> Path:
        return self.directory / "train.jsonl"

    @property
    def valid(self) -> Path:
        return self.directory / "valid.jsonl"

    @property
    def test(self) -> Path:
        return self.directory / "test.jsonl"

    @property
    def split(self) -> Path:
        return self.directory / SPLIT_FILE


def _distribution() -> metadata.Distribution:
    try:
        return metadata.distribution(PACKAGE)
    except metadata.PackageNotFoundError:
        raise NysformerError(f"the package {PACKAGE} is not installed: run `pip install nysformer[demo]`") from None


def licence_data() -> Path:
    """The folder of the installed package that holds `licenses` and `rules`.

    Raises:
        NysformerError: if the package is absent, or installed without its data.
    """
    folder = Path(str(_distribution().locate_file("licensedcode/data")))
    if not (folder / "licenses").is_dir() or not (folder / "rules").is_dir():
        raise NysformerError(
            f"{PACKAGE} is installed without its data ({folder}): run `pip install --force-reinstall {PACKAGE}`"
        )
    return folder


def parse_entry(path: Path, source: str) -> tuple[dict[str, Any], str]:
    """The header and the text of one of the package's files.

    Args:
        path: of the file, for the error.
        source: its content.

    Raises:
        NysformerError: there is no YAML header.

    Example:
        >>> parse_entry(Path("mit.LICENSE"), "---\\nkey: mit\\n---\\n\\nPermission is hereby granted")
        ({'key': 'mit'}, 'Permission is hereby granted')
    """
    parts = re.match(r"---\n(.*?)\n---[ \t]*(?:\n(.*))?\Z", source, re.DOTALL)
    try:
        header = yaml.load(parts[1], Loader=yaml.CSafeLoader) if parts else None
    except yaml.YAMLError:
        header = None
    if parts is None or not isinstance(header, dict):
        raise NysformerError(f"{path}: no YAML header between two lines of dashes: reinstall {PACKAGE}")
    return header, (parts[2] or "").strip()


def _wanted(header: dict[str, Any], text: str) -> bool:
    english = header.get("language", "en") == "en"
    return english and not header.get("is_deprecated") and len(text.split()) >= MIN_WORDS


def _entries(data: Path) -> Iterator[LicenceDocument]:
    """Every text with one of the categories, licences before rules, each in order of file name."""
    category: dict[str, str] = {}
    for path in sorted((data / "licenses").glob("*.LICENSE")):
        header, text = parse_entry(path, path.read_text(encoding="utf-8"))
        # A deprecated licence has no text of its own here, but what it was is still known.
        category[header["key"]] = header["category"]
        if header["category"] in CATEGORIES and _wanted(header, text):
            yield LicenceDocument(f"licenses/{path.name}", header["key"], header["category"], text)
    for path in sorted((data / "rules").glob("*.RULE")):
        source = path.read_text(encoding="utf-8")
        if "is_license_text: yes" not in source:  # nine rules of ten: notices, references, tags; not worth a parse
            continue
        header, text = parse_entry(path, source)
        key = str(header.get("license_expression", "")).strip()  # "a AND b" is no known key: no single category
        if header.get("is_license_text") and category.get(key) in CATEGORIES and _wanted(header, text):
            yield LicenceDocument(f"rules/{path.name}", key, category[key], text)


def read_licences(data: Path) -> list[LicenceDocument]:
    """Read the whole licence texts below `data`: English, not deprecated, of 200 words or more, in eight categories.

    Texts that differ only in white space or case are one document. If they agree on the category the first stands,
    a licence's own file before a rule's; if they do not, none does, because no label would be right.

    Raises:
        NysformerError: if a file cannot be parsed, or if nothing is left.
    """
    same: dict[str, list[LicenceDocument]] = defaultdict(list)
    for document in _entries(data):
        same[" ".join(document.text.lower().split())].append(document)
    documents = [twins[0] for twins in same.values() if len({twin.label for twin in twins}) == 1]
    if not documents:
        raise NysformerError(f"{data}: no licence texts of {MIN_WORDS} words or more: reinstall {PACKAGE}")
    return documents


def licence_text(key: str) -> str:
    """The text of one licence of the installed package, such as "apache-2.0".

    Raises:
        NysformerError: if the package is absent or damaged, or knows no such licence.
    """
    path = licence_data() / "licenses" / f"{key}.LICENSE"
    if not path.is_file():
        raise NysformerError(f"{PACKAGE} knows no licence {key!r}: give a key such as apache-2.0")
    return parse_entry(path, path.read_text(encoding="utf-8"))[1]


def _make(directory: Path, recipe: dict[str, Any], documents: Sequence[LicenceDocument]) -> dict[str, Any]:
    labels = [document.label for document in documents]
    groups = near_duplicate_groups(
        [document.text for document in documents],
        [document.key for document in documents],
        threshold=recipe["threshold"],
    )
    splits = split_by_group(groups, labels, seed=recipe["seed"])
    for split in SPLITS:
        with write_atomically(directory / f"{split}.jsonl") as file:
            for document, group, side in zip(documents, groups, splits, strict=True):
                if side == split:
                    line = {
                        "id": document.id,
                        "label": document.label,
                        "group": int(group),
                        "text": document.text,
                    }
                    file.write(json.dumps(line) + "\n")
    return write_record(
        directory / SPLIT_FILE,
        recipe,
        [f"{split}.jsonl" for split in SPLITS],
        groups=int(groups.max()) + 1,
        documents={
            document.id: {"group": int(group), "split": side, "label": document.label}
            for document, group, side in zip(documents, groups, splits, strict=True)
        },
    )


def build_licence_corpus(output_dir: Path | str, seed: int = 0) -> LicenceCorpus:
    """Write the licence corpus below `output_dir`: train.jsonl, valid.jsonl, test.jsonl, split.json.

    `split.json` records where every document went and why (its group), the recipe, and the SHA-256 of the three files.
    It is written last, so a build that was killed leaves no split file; one that stands, of the same package and seed,
    with its files unchanged, is used again.

    Args:
        output_dir: made if absent.
        seed: of the split by group.

    Raises:
        NysformerError: if the package is absent or damaged, if `output_dir` cannot be written, or if another process
            is writing there.
    """
    directory = Path(output_dir)
    package = f"{PACKAGE} {_distribution().version}"
    recipe = {"package": package, "seed": seed, "min_words": MIN_WORDS, "threshold": THRESHOLD, "form": 2}
    split = read_record(directory / SPLIT_FILE, recipe)
    if split is None:
        documents = read_licences(licence_data())
        try:
            directory.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise NysformerError(
                f"cannot write the corpus to {directory} ({error.strerror}); choose another"
            ) from error
        with lock_folder(directory):
            (directory / SPLIT_FILE).unlink(missing_ok=True)
            split = _make(directory, recipe, documents)
    sides = [entry["split"] for entry in split["documents"].values()]
    return LicenceCorpus(
        directory=directory,
        documents={name: sides.count(name) for name in SPLITS},
        groups=split["groups"],
        seed=seed,
        package=package,
    )
