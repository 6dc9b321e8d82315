"""Write files of vectors with their places: one Parquet file, or a .npy matrix with its places beside it.

Shapes: n vectors, D their dimension.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nysformer.data.tables import as_text
from nysformer.errors import NysformerError
from nysformer.files.atomic import write_atomically
from nysformer.inference.embed import Embedding

__all__ = [
    "METADATA",
    "VECTOR",
    "check_vector_format",
    "matrix_of",
    "places_beside",
    "vector_schema",
    "vector_table",
    "write_vectors",
]

ROW_GROUP = 4096
"""Rows per row group of Parquet."""

PLACE = ("source", "line")
PASSAGE = ("start", "end", "text")
VECTOR = "vector"
_PREFIX = "input_"
METADATA = b"nysformer"


def check_vector_format(path: str | Path) -> None:
    """Check that vectors can be written to a file of that name here.

    Raises:
        NysformerError: another suffix than .parquet or .npy, or pyarrow is not installed.
    """
    if Path(path).suffix.lower() not in (".parquet", ".npy"):
        raise NysformerError(f"{path}: vectors are written as Parquet or .npy; name a file that ends in one of these")
    try:
        import pyarrow  # noqa: F401
    except ImportError as error:
        raise NysformerError("files of vectors need pyarrow; pip install 'nysformer[search]'") from error


def places_beside(path: str | Path) -> Path:
    """Where the places of a .npy matrix are.

    Example:
        >>> places_beside("vectors.npy").name
        'vectors.places.parquet'
    """
    return Path(path).with_suffix(".places.parquet")


def vector_schema(dimension: int, keep: Sequence[str], *, passages: bool) -> Any:
    """The Arrow schema: source, line, columns of the input, a passage's characters and text, its vector.

    Args:
        dimension: D.
        keep: columns of the input. One named as a column of ours gets the prefix "input_".
        passages: whether a row is a passage.

    Raises:
        NysformerError: two columns of one name.
    """
    import pyarrow as pa

    fields = [("source", pa.string()), ("line", pa.int64())]
    fields += [(name, pa.string()) for name in _kept(keep, passages).values()]
    if passages:
        fields += [("start", pa.int64()), ("end", pa.int64()), ("text", pa.string())]
    fields += [(VECTOR, pa.list_(pa.float32(), dimension))]
    names = [name for name, _ in fields]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise NysformerError(f"keep: two columns would be named {twice!r}; rename the input's column")
    return pa.schema(fields)


def _kept(keep: Sequence[str], passages: bool) -> dict[str, str]:
    ours = {*PLACE, VECTOR, *(PASSAGE if passages else ())}
    return {name: f"{_PREFIX}{name}" if name in ours else name for name in keep}


def vector_table(embeddings: Sequence[Embedding], keep: Sequence[str], schema: Any) -> Any:
    """Rows of `schema`, a vector each."""
    import pyarrow as pa

    passages = "start" in schema.names
    columns: dict[str, list[Any]] = {name: [] for name in schema.names}
    for embedding in embeddings:
        count = len(embedding.vectors)
        columns["source"] += [as_text(embedding.source)] * count
        columns["line"] += [embedding.line] * count
        for name, shown in _kept(keep, passages).items():
            columns[shown] += [as_text(embedding.columns.get(name))] * count
        for passage in embedding.passages or ():
            for name, value in zip(PASSAGE, (passage.start, passage.end, as_text(passage.text)), strict=True):
                columns[name].append(value)
    size = schema.field(VECTOR).type.list_size
    matrix = np.concatenate([each.vectors for each in embeddings]) if embeddings else np.zeros((0, size), np.float32)
    vectors = pa.FixedSizeListArray.from_arrays(pa.array(matrix.ravel()), size)
    arrays = [vectors if field.name == VECTOR else pa.array(columns[field.name], type=field.type) for field in schema]
    return pa.Table.from_arrays(arrays, schema=schema)


def write_vectors(path: Path, tables: Iterator[Any], schema: Any, count: int, about: Mapping[str, Any]) -> None:
    """Write a file of vectors, whole or not at all; of a matrix, its places too.

    Args:
        path: ends in .parquet or .npy.
        tables: of `schema`, in order.
        schema: see `vector_schema`.
        count: n.
        about: what `Places.about` will be; plain JSON values.

    Raises:
        NysformerError: it cannot be written.
    """
    from pyarrow.parquet import ParquetWriter

    size = schema.field(VECTOR).type.list_size
    told = schema.with_metadata({METADATA: json.dumps(dict(about)).encode()})
    with ExitStack() as files:
        matrix = None
        if path.suffix.lower() == ".npy":
            told = told.remove(told.get_field_index(VECTOR))
            matrix = files.enter_context(write_atomically(path, binary=True))
            header = {"descr": "<f4", "fortran_order": False, "shape": (count, size)}
            np.lib.format.write_array_header_1_0(matrix, header)
            path = places_beside(path)
        file = files.enter_context(write_atomically(path, binary=True))
        writer = files.enter_context(
            ParquetWriter(
                file,
                told,
                compression={name: "NONE" if name == VECTOR else "ZSTD" for name in _leaves(told)},
                use_dictionary=[name for name in told.names if name not in (VECTOR, "text")],
                write_statistics=False,
            )
        )
        for table in _regrouped(tables):
            if matrix is not None:
                matrix.write(matrix_of(table.column(VECTOR), size).astype("<f4", copy=False).tobytes())
                table = table.drop_columns([VECTOR])
            writer.write_table(table.cast(told))


def _leaves(schema: Any) -> list[str]:
    """The columns of Parquet, of which a list's are named after what it is made of."""
    return [f"{name}.list.element" if name == VECTOR else name for name in schema.names]


def _regrouped(tables: Iterator[Any]) -> Iterator[Any]:
    """The same rows in tables of `ROW_GROUP`, the last one shorter."""
    import pyarrow as pa

    rest: Any = None
    for table in tables:
        rest = table if rest is None else pa.concat_tables([rest, table])
        while rest.num_rows >= ROW_GROUP:
            yield rest.slice(0, ROW_GROUP).combine_chunks()
            rest = rest.slice(ROW_GROUP)
    if rest is not None and rest.num_rows:
        yield rest.combine_chunks()


def matrix_of(column: Any, size: int) -> NDArray[np.float32]:
    """(rows, D) of a column of vectors."""
    parts = [chunk.flatten().to_numpy(zero_copy_only=False) for chunk in column.chunks]
    flat: NDArray[np.float32] = np.concatenate(parts) if parts else np.zeros(0, dtype=np.float32)
    return flat.reshape(-1, size)
