"""A labelled set of documents, from files of every usual kind, as one Arrow dataset that need not fit into memory."""

import gzip
import os
import zlib
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, BinaryIO, cast

import datasets

from nysformer import __version__
from nysformer.data.formats import SUFFIXES, TEXT_SUFFIXES, Format, format_of
from nysformer.data.quiet import no_progress_bars
from nysformer.data.records import Item, RecordError, Row, Waiting, read_json, read_parquet, read_separated
from nysformer.errors import NysformerError

__all__ = ["load_documents"]


def load_documents(
    sources: Sequence[str | Path], *, text_column: str = "text", label_column: str | None = "label"
) -> datasets.Dataset:
    """Read labelled documents into a dataset; every one must be whole, the first bad one is the error.

    A source is a file or a folder. JSON Lines (`.jsonl`, `.ndjson`, `.json`, also a JSON array of objects), CSV, TSV
    and Parquet hold a document a row; `.gz` is unpacked. A text file (`.txt`, `.text`, `.md`, `.rst`) is one document
    and the folder it lies in names its label; a folder stands for every text file below it, by name, hidden ones left
    out. Text is UTF-8. The dataset is kept in the `datasets` cache until a file changes.

    Args:
        sources: files and folders, at least one; their documents come in this order.
        text_column: the column with the text; text files have none.
        label_column: the column with the label, text or an integer; None for documents without labels.

    Returns:
        A dataset with the string columns `text`, `label` (unless `label_column` is None) and `source`: the file, and
        in a file of rows the line or row behind a colon.

    Raises:
        NysformerError: a source that is missing, of an unknown suffix, empty or unreadable; an absent column; a
            document or label that is empty or of the wrong type. Each with its file and line.

    Example:
        >>> load_documents(["train.jsonl", "more/"], text_column="body")  # doctest: +SKIP
        Dataset({features: ['text', 'label', 'source'], num_rows: 2718})
    """
    if not sources:
        raise NysformerError("documents: no source is given; name a file or a folder")
    files = [file for source in sources for file in _files(Path(source))]
    # The cache goes by these arguments: a file that was written again must not be answered by what it held before.
    stamps = [(os.path.abspath(path), (stat := path.stat()).st_size, stat.st_mtime_ns) for path, _ in files]
    columns = ["text", "source"] if label_column is None else ["text", "label", "source"]
    try:
        with no_progress_bars():
            return datasets.Dataset.from_generator(
                _documents,
                features=datasets.Features({name: datasets.Value("large_string") for name in columns}),
                gen_kwargs={
                    "files": files,
                    "text_column": text_column,
                    "label_column": label_column,
                    "stamps": stamps,
                    "version": __version__,
                },
            )
    except datasets.exceptions.DatasetGenerationError as error:
        if isinstance(error.__cause__, NysformerError):
            raise error.__cause__ from None
        raise


def _files(source: Path) -> list[tuple[Path, Format]]:
    if source.is_dir():
        files = sorted(
            path
            for path in source.rglob("*")
            if format_of(path) == "text"
            and path.is_file()
            and not any(part.startswith(".") for part in path.relative_to(source).parts)
        )
        if not files:
            raise NysformerError(
                f"{source}: the folder holds no text file ({', '.join(TEXT_SUFFIXES)}); name its files one by one"
            )
        return [(path, "text") for path in files]
    if not source.exists():
        raise NysformerError(f"{source}: no such file or folder; mend the path")
    kind = format_of(source)
    if kind is None:
        raise NysformerError(f"{source}: unknown kind of file; give one that ends in {', '.join(SUFFIXES)} (or .gz)")
    if source.stat().st_size == 0:
        raise NysformerError(f"{source}: the file is empty; leave it out")
    return [(source, kind)]


def _documents(
    files: list[tuple[Path, Format]], text_column: str, label_column: str | None, stamps: object, version: str
) -> Iterator[dict[str, str]]:
    for path, kind in files:
        count = 0
        for place, text, label in _rows(path, kind, text_column, label_column):
            count += 1
            document = {"text": _text(text, place, text_column), "source": place}
            if label_column is not None:
                document["label"] = _label(label, place)
            yield document
        if not count:
            raise NysformerError(f"{path}: the file holds no document; leave it out")


def _rows(path: Path, kind: Format, text_column: str, label_column: str | None) -> Iterator[tuple[str, Any, Any]]:
    """Place, text and label of each row as they stand in the file; a text file is one row."""
    try:
        if kind == "text":
            with _open(path) as binary:
                yield str(path), binary.read().decode("utf-8-sig"), path.absolute().parent.name
            return
        for row in _records(path, kind):
            place = f"{path}:{row.line}"
            for column, option in ((text_column, "text"), (label_column, "label")):
                if column is not None and column not in row.values:
                    raise NysformerError(
                        f"{place}: no column {column!r} (there are: {', '.join(map(str, row.values)) or 'none'}); "
                        f"name the one with the {option}"
                    )
            yield place, row.values[text_column], None if label_column is None else row.values[label_column]
    except UnicodeDecodeError as error:
        raise NysformerError(f"{path}: not UTF-8 at byte {error.start + 1}; save it as UTF-8") from error
    except (OSError, EOFError, zlib.error) as error:
        raise NysformerError(f"{path}: cannot be read ({error}); mend it or leave it out") from error


def _records(path: Path, kind: Format) -> Iterator[Row]:
    if kind == "parquet":
        yield from map(_whole, read_parquet(path))
        return
    with _open(path) as binary:
        source = str(path)
        items = read_separated(binary, source, kind) if kind in ("csv", "tsv") else read_json(binary, source)
        # A reader that is left in the middle must be done with the file before the file is closed.
        with closing(cast("Generator[Item, None, None]", items)):
            # A file never keeps us waiting; only what comes through a pipe does.
            yield from (_whole(item) for item in items if not isinstance(item, Waiting))


def _whole(item: Row | RecordError) -> Row:
    if isinstance(item, RecordError):
        raise NysformerError(f"{item}; mend or remove it")
    return item


def _open(path: Path) -> BinaryIO:
    return cast(BinaryIO, gzip.open(path)) if path.suffix.lower() == ".gz" else path.open("rb")


def _text(value: Any, place: str, column: str) -> str:
    if value is None or (isinstance(value, str) and not value.strip()):
        raise NysformerError(f"{place}: the document is empty; mend or remove it")
    if not isinstance(value, str):
        raise NysformerError(f"{place}: column {column!r} is of type {type(value).__name__}, not text; name another")
    return _unicode(value, place)


def _unicode(value: str, place: str) -> str:
    try:
        value.encode()
    except UnicodeEncodeError as error:  # half of a surrogate pair: out of a JSON escape, or a byte that is not UTF-8
        raise NysformerError(f"{place}: not valid UTF-8 at character {error.start + 1}; mend or remove it") from error
    return value


def _label(value: Any, place: str) -> str:
    if value is None or value == "":
        raise NysformerError(f"{place}: the document has no label; label or remove it")
    if isinstance(value, bool):
        return str(value).lower()
    if not isinstance(value, (str, int)):
        raise NysformerError(
            f"{place}: a label of type {type(value).__name__} ({value!r}); labels are text or whole numbers"
        )
    return _unicode(str(value), place)
