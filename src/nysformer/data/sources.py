"""Which files a source stands for, in what order, and which label their folders give them."""

import os
import stat
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from nysformer.data.formats import SUFFIXES, Format, format_of, suffix_of
from nysformer.data.records import HOLDS_NOTHING, RecordError, shown
from nysformer.errors import NysformerError

__all__ = ["STDIN", "WHOLE_FILES", "File", "check_sources", "find_files", "list_sources", "nothing"]

STDIN = "-"
"""The source that means standard input."""

WHOLE_FILES: tuple[Format, ...] = ("text", "html", "lines")
"""Formats of files without columns, whose documents are labelled by their folder."""
# Kinds of folder entry that are skipped, as a summary names them.
_HIDDEN, _BROKEN, _LINKED, _SPECIAL = (
    "hidden",
    "broken link",
    "link to a folder above or read already",
    "pipe, socket or device",
)


@dataclass(frozen=True, slots=True)
class File:
    """A file to read.

    Attributes:
        path: of it.
        kind: its format.
        label: what its folder says; None in a file of rows, whose rows say it themselves.
    """

    path: Path
    kind: Format
    label: str | None = None


def list_sources(sources: str | Path | Iterable[str | Path]) -> list[str]:
    """Sources as text; one alone need not be in a list.

    Raises:
        NysformerError: there is none, or one is not a path.
    """
    listed = [sources] if isinstance(sources, (str, os.PathLike)) else list(sources)
    if not listed:
        raise NysformerError("no documents: no source is given; name a file, a folder, or - for standard input")
    for source in listed:
        if not isinstance(source, (str, os.PathLike)):
            raise NysformerError(f"sources: {source!r} is of type {type(source).__name__}; name files and folders")
        if not str(source) or "\0" in str(source):
            raise NysformerError(f"sources: {str(source)!r} names no file; name a file or a folder")
    return [os.fspath(source) if isinstance(source, str) else str(source) for source in listed]


def check_sources(sources: Sequence[str], *, input_format: Format | None, all_files: bool, labelled: bool) -> None:
    """See whether the sources exist and any of them can hold a document, without reading one.

    Raises:
        NysformerError: one does not exist or, of an unknown kind, cannot have labels; all of them are empty.
    """
    empty: list[tuple[Path, str] | tuple[Path, str, str]] = []
    for source in sources:
        if source == STDIN:
            continue
        path = Path(source)
        try:
            status = path.stat()
        except (FileNotFoundError, NotADirectoryError):
            raise NysformerError(f"{shown(path)}: no such file or folder; fix the path") from None
        except OSError as error:
            raise NysformerError(f"{shown(path)}: cannot be read ({error.strerror}); fix the path") from error
        if stat.S_ISDIR(status.st_mode):
            skipped: Counter[str] = Counter()
            found = find_files(source, input_format=input_format, all_files=all_files, skipped=skipped)
            if next(iter(found), None) is None:
                empty.append((path, f"the folder {HOLDS_NOTHING}", _remedy(skipped)))
            continue
        if stat.S_ISSOCK(status.st_mode) or stat.S_ISBLK(status.st_mode):
            raise NysformerError(f"{shown(path)}: a socket or a device; name a file or a folder")
        if labelled and input_format is None and not all_files and format_of(path) is None:
            raise NysformerError(
                f"{shown(path)}: unknown kind of file; give one that ends in {', '.join(SUFFIXES)} (or .gz), name its "
                "format with input_format, or read any file as text with all_files=True"
            )
        if stat.S_ISREG(status.st_mode) and status.st_size == 0:
            empty.append((path, f"the file {HOLDS_NOTHING}"))
    if len(empty) == len(sources):
        raise NysformerError(nothing(*empty[0], others=len(empty) - 1))


def nothing(path: object, reason: str, remedy: str = "name another", *, others: int) -> str:
    """The message of an error for sources that hold nothing at all."""
    more = f", nor do the {others:,} other sources" if others else ""
    return f"{shown(path)}: {reason}{more}; {remedy}"


def find_files(
    source: str,
    *,
    input_format: Format | None = None,
    all_files: bool = False,
    label_from: Literal["top", "parent"] | None = None,
    skipped: Counter[str] | None = None,
) -> Iterator[File | RecordError]:
    """The files of one source, each folder's own by name before those of its folders by name.

    Hidden entries (a name that begins with a dot), broken links, pipes, sockets, devices and files of an unknown suffix
    are skipped and counted. A link to a file is read as that file. A link to a folder is followed, unless it leads to a
    folder above, or to one that is read anyway.

    Args:
        source: a file or a folder.
        input_format: the format of every file, whatever its suffix.
        all_files: read files of an unknown suffix, or of none, as text.
        label_from: label whole-file documents by the first folder below the source ("top") or by the folder they lie in
            ("parent"); a file that is a source itself always by the folder it lies in. None for no labels.
        skipped: counts what is skipped, by suffix or kind.

    Raises:
        NysformerError: with "top", some files lie directly in the source and others in folders below it.
    """
    root = Path(source)
    skipped = Counter() if skipped is None else skipped
    if not root.is_dir():
        kind = input_format or format_of(root) or "text"
        label = _name(root.absolute().parent) if label_from is not None and kind in WHOLE_FILES else None
        yield File(root, kind, label)
        return
    found = _files_below(root, input_format, all_files, skipped)
    if label_from is None:
        yield from found
        return
    yield from _labelled(root, list(found), label_from)


def _labelled(root: Path, found: list[File | RecordError], label_from: str) -> Iterator[File | RecordError]:
    whole = [item for item in found if isinstance(item, File) and item.kind in WHOLE_FILES]
    direct = [file for file in whole if file.path.parent == root]
    if label_from == "top" and direct and len(direct) < len(whole):
        raise NysformerError(
            f"{shown(root)}: {len(direct):,} files lie directly in the folder (such as {shown(direct[0].path.name)}) "
            f"and {len(whole) - len(direct):,} in folders below it, whose names are the labels; move them into a "
            "folder of their label, or give label_from='parent'"
        )
    for item in found:
        if isinstance(item, File) and item.kind in WHOLE_FILES:
            parts = item.path.relative_to(root).parts
            name = _name(item.path.parent if label_from == "parent" or len(parts) == 1 else root / parts[0])
            yield File(item.path, item.kind, name)
        else:
            yield item


def _name(folder: Path) -> str:
    return os.path.basename(os.path.abspath(folder))


def _files_below(
    root: Path, input_format: Format | None, all_files: bool, skipped: Counter[str]
) -> Iterator[File | RecordError]:
    for item in _walk(root, skipped):
        if isinstance(item, RecordError):
            yield item
            continue
        kind = format_of(item)
        if kind is None and not all_files:
            skipped[suffix_of(item)] += 1
        else:
            yield File(Path(item), input_format or kind or "text")


def _walk(root: Path, skipped: Counter[str]) -> Iterator[str | RecordError]:
    """Paths of the regular files below `root`."""
    seen: set[tuple[int, int]] = set()
    real_root = os.path.realpath(root)
    stack = [str(root)]
    while stack:
        here = stack.pop()
        try:
            status = os.stat(here)
            if (status.st_dev, status.st_ino) in seen:
                skipped[_LINKED] += 1
                continue
            seen.add((status.st_dev, status.st_ino))
            with os.scandir(here) as entries:
                found = sorted(entries, key=lambda entry: entry.name)
        except OSError as error:
            yield RecordError(here, None, f"the folder cannot be read ({error.strerror}); fix it or leave it out")
            continue
        folders: list[str] = []
        for entry in found:
            if entry.name.startswith("."):
                skipped[_HIDDEN] += 1
                continue
            try:
                mode = entry.stat().st_mode
            except OSError:
                skipped[_BROKEN] += 1
                continue
            if stat.S_ISDIR(mode):
                if entry.is_symlink() and _is_read_anyway(os.path.realpath(entry.path), real_root):
                    skipped[_LINKED] += 1
                else:
                    folders.append(entry.path)
            elif stat.S_ISREG(mode):
                yield entry.path
            else:
                skipped[_SPECIAL] += 1
        stack.extend(reversed(folders))


def _is_read_anyway(target: str, root: str) -> bool:
    """Whether a linked folder is `root`, above it, or below it and not hidden."""
    if os.path.commonpath([target, root]) == target:
        return True
    if os.path.commonpath([target, root]) != root:
        return False
    return not any(part.startswith(".") for part in Path(target).relative_to(root).parts)


def _remedy(skipped: Counter[str]) -> str:
    if not skipped:
        return "name another"
    held = ", ".join(f"{count:,} {shown(name)}" for name, count in skipped.most_common(5))
    return f"it skips {held}: read such files as text with all_files=True"
