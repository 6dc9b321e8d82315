"""The documentation of the Linux kernel, as its authors write it: reStructuredText out of Debian's `linux-doc-6.1`."""

from pathlib import Path

from benchmarks.recipes.corpus import Row, Rows, Source
from benchmarks.recipes.fetch import debian_package, unpacked
from benchmarks.recipes.splits import by_near_duplicates, deal

__all__ = ["SOURCE", "make_kernel_docs"]

SOURCE = Source(
    package="Debian linux-doc-6.1",
    licence="GPL-2 (with the kernel's syscall note; parts are dual-licensed, as the files say)",
    citation="the kernel development community: The Linux Kernel documentation. https://docs.kernel.org",
)
PACKAGE = "linux-doc-6.1"
MIN_WORDS = 200


def kernel_texts(cache: Path) -> dict[str, str]:
    """All documents but the translations by their names, such as "mm/ksm.rst"; the package goes to `cache`."""
    folder = unpacked(debian_package(PACKAGE, cache)) / "usr/share/doc" / PACKAGE / "html/_sources"
    paths = {path.relative_to(folder).as_posix().removesuffix(".txt"): path for path in sorted(folder.rglob("*.txt"))}
    return {
        name: path.read_text(encoding="utf-8", errors="replace").strip()
        for name, path in paths.items()
        if not name.startswith("translations/")
    }


def make_kernel_docs(cache: Path, seed: int) -> Rows:
    """Rows of `id`, `text` and `group`."""
    rows: list[Row] = [
        {"id": name, "text": text} for name, text in kernel_texts(cache).items() if len(text.split()) >= MIN_WORDS
    ]
    sides, groups = by_near_duplicates(
        [row["text"] for row in rows],
        [row["id"] for row in rows],
        [row["id"].split("/")[0] for row in rows],
        seed,
    )
    for row, group in zip(rows, groups, strict=True):
        row["group"] = group
    notes = [
        f"read from {debian_package(PACKAGE, cache).name}: sources of {MIN_WORDS} words or more, without translations",
        f"{max(groups) + 1:,} groups of near-duplicates, each on one side; stratified by top folder",
    ]
    return Rows(deal(rows, sides), notes)
