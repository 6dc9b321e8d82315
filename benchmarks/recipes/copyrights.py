"""Which licences a package is under: Debian's machine-readable `copyright` files (DEP-5), with the answer taken out.

Only the files of packages that are installed on this machine are read.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Collection, Iterable
from functools import cache
from pathlib import Path

from benchmarks.recipes.corpus import Row, Rows, Source
from benchmarks.recipes.splits import by_near_duplicates, deal

__all__ = ["DOCS", "MIN_FILES", "copyright_source", "licence_names", "make_copyrights", "normal_name", "without_names"]

DOCS = Path("/usr/share/doc")
MIN_FILES = 10
_FORMAT = re.compile(
    r"\s*Format(?:-Specification)?:\s*\S*(?:copyright-format|dep5?|DEP5?|CopyrightFormat)", re.IGNORECASE
)
_FIELD = re.compile(r"^License:[ \t]*(\S.*)?$", re.IGNORECASE | re.MULTILINE)
_TOKEN = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.+-]*[A-Za-z0-9+])?")


def normal_name(name: str) -> str:
    """A licence's short name in one spelling: lower case, without ".0" at the end, "+" for "or later".

    Example:
        >>> [normal_name(name) for name in ("GPL-2.0+", "GPL-2-or-later", "Apache-2.0", "LGPL-2.1-only", "MPL-1.1.")]
        ['gpl-2+', 'gpl-2+', 'apache-2', 'lgpl-2.1', 'mpl-1.1']
    """
    name = name.lower().rstrip(".-")
    name = re.sub(r"-only$", "", name)
    name = re.sub(r"-or-later$", "+", name)
    return re.sub(r"(?:\.0)+(?=\+?$)", "", name)


def licence_names(source: str) -> list[str]:
    """The licences named in the License fields, alphabetically; of "A with an exception" that is A.

    Example:
        >>> licence_names("License: GPL-2+ or Expat\\n\\nLicense: GPL-2.0+ with OpenSSL exception\\n text\\n")
        ['expat', 'gpl-2+']
    """
    names = set()
    for expression in _FIELD.findall(source):
        for part in re.split(r",?\s+(?:and/or|and|or)\s+|\s*,\s*|\s*\|\s*", expression, flags=re.IGNORECASE):
            words = part.split()
            if words:
                names.add(normal_name(words[0]))
    return sorted(names - {"", "and", "or"})


def without_names(source: str, names: Collection[str]) -> str:
    """The text without the licences' short names: those of every License field, and `names` wherever they stand.

    Args:
        source: a copyright file.
        names: as `normal_name` writes them.

    Example:
        >>> print(without_names("License: Artistic\\n See common-licenses/GPL-1, not Expat (expat).", {"expat"}))
        License:
         See common-licenses/, not  ().
    """
    source = _FIELD.sub("License:", source)
    source = re.sub(r"(common-licenses/)[\w.+-]*\w\+?", r"\1", source)
    return _TOKEN.sub(lambda found: "" if normal_name(found[0]) in names else found[0], source)


@cache
def _files() -> dict[str, str]:
    """Package name -> copyright file, where it is machine-readable; a text that stands twice stands under one name."""
    texts: dict[str, str] = {}
    for path in sorted(DOCS.glob("*/copyright")):
        try:
            text = path.read_text(encoding="utf-8", errors="replace")
        except OSError:  # a link to a package that is not installed
            continue
        if _FORMAT.match(text):
            texts.setdefault(text, path.parent.name)
    return {name: text for text, name in texts.items()}


def copyright_source() -> Source:
    """What is read; its name changes with the files, since another machine has other packages installed."""
    files = _files()
    digest = hashlib.sha256("\0".join(files.values()).encode("utf-8", "surrogatepass")).hexdigest()
    return Source(
        package=f"{len(files)} different DEP-5 copyright files in {DOCS} of this machine ({digest[:12]})",
        licence="those of the packages; the files are made to be read and passed on with them",
        citation="the Debian developers; https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/",
    )


def _rarest(names: Iterable[str], counts: Counter[str]) -> str:
    return min(names, key=lambda name: (counts[name], name))


def make_copyrights(seed: int) -> Rows:
    """Rows of `id` (the package), `text`, `label` (a list of licence names) and `group`."""
    files = _files()
    found = {name: licence_names(text) for name, text in files.items()}
    counts = Counter(licence for names in found.values() for licence in names)
    labels = {licence for licence, count in counts.items() if count >= MIN_FILES}
    kept = {name: [one for one in found[name] if one in labels] for name in files}
    kept = {name: names for name, names in kept.items() if names}
    texts = {name: without_names(files[name], labels) for name in kept}
    sides, groups = by_near_duplicates(
        list(texts.values()), list(kept), [_rarest(names, counts) for names in kept.values()], seed
    )
    rows: list[Row] = [
        {"id": name, "text": texts[name], "label": kept[name], "group": group}
        for name, group in zip(kept, groups, strict=True)
    ]
    notes = [
        f"{len(files)} different machine-readable files; {len(labels)} licences stand in {MIN_FILES} of them or more "
        f"and are the labels; {len(files) - len(kept)} files with none of these are left out",
        "short names are taken out of the License fields, and the labels' own wherever else they stand; the licence "
        "notices themselves stay",
        f"{max(groups) + 1} groups of near-duplicates, each on one side; stratified by a file's rarest licence",
    ]
    return Rows(deal(rows, sides), notes)
