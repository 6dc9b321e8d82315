"""Nearest vectors among those that `nysformer embed` wrote: by comparing all of them, or by a graph built beforehand.

Shapes: n vectors, D their dimension, k answers.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from nysformer.errors import NysformerError
from nysformer.files.folders import check_new_folder, new_folder
from nysformer.inference.stored_vectors import Places, VectorFile, damaged
from nysformer.inference.vector_file import METADATA

__all__ = ["ExactIndex", "GraphIndex", "VectorIndex", "build_index", "open_index"]

GRAPH, PLACES = "index.usearch", "places.parquet"
CONNECTIVITY, EXPANSION_ADD, EXPANSION_SEARCH = 16, 200, 128
"""Links per vector, and how many candidates are looked at while building and while searching."""


class VectorIndex(Protocol):
    """Vectors to search, and what they stand for.

    Attributes:
        path: of the file or folder.
        about: how the vectors were made, see `nysformer.inference.embed_file`.
        columns: of a row's place.
        count: n.
        dimension: D.
    """

    path: Path
    about: dict[str, Any]
    columns: list[str]
    count: int
    dimension: int

    def nearest(self, query: NDArray[np.float32], count: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Rows and cosines of the nearest vectors, the nearest first; k is the smaller of `count` and n.

        Args:
            query: (D).
            count: of answers wanted.
        """

    def place(self, row: int) -> dict[str, Any]:
        """What a row stands for, see `Places.place`."""


class ExactIndex(VectorFile):
    """All vectors of a file, compared one by one; those of Parquet are held in memory from the first question on."""

    def __init__(self, path: str | Path) -> None:
        super().__init__(path)
        self._held: tuple[NDArray[np.float32], NDArray[np.float32]] | None = None

    def nearest(self, query: NDArray[np.float32], count: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """See `VectorIndex.nearest`; of equal vectors the earlier row comes first."""
        if self._held is None:
            vectors = self.vectors()
            self._held = vectors, np.maximum(np.linalg.norm(vectors, axis=1), np.finfo(np.float32).tiny)
        vectors, lengths = self._held
        cosines = vectors @ query / (lengths * max(float(np.linalg.norm(query)), np.finfo(np.float32).tiny))
        count = min(count, self.count)
        if count < self.count:
            least = np.partition(cosines, self.count - count)[self.count - count]
            rows = np.flatnonzero(cosines >= least)
        else:
            rows = np.arange(self.count)
        rows = rows[np.argsort(-cosines[rows], kind="stable")][:count]
        return rows, cosines[rows].astype(np.float32)


class GraphIndex(Places):
    """A folder that `build_index` made, mapped from the disk: some of the nearest vectors may be missed.

    Raises:
        NysformerError: a damaged folder, or the library is not installed.
    """

    def __init__(self, path: str | Path) -> None:
        path = Path(path)
        super().__init__(path / PLACES, path)
        self._graph = _new_graph(self.dimension)
        try:
            self._graph.view(str(path / GRAPH))
        except (OSError, RuntimeError, ValueError) as error:
            raise damaged(path / GRAPH, error) from error
        if (len(self._graph), self._graph.ndim) != (self.count, self.dimension):
            raise NysformerError(f"{path / GRAPH}: its vectors are not those of {path / PLACES}; make the index again")

    def nearest(self, query: NDArray[np.float32], count: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """See `VectorIndex.nearest`."""
        count = min(count, self.count)
        self._graph.expansion_search = max(EXPANSION_SEARCH, 2 * count)
        found = self._graph.search(query, count, threads=1)
        return found.keys.astype(np.int64), 1 - found.distances.astype(np.float32)


def open_index(path: str | Path) -> VectorIndex:
    """Open a file of `nysformer embed`, or a folder of `build_index`.

    Raises:
        NysformerError: neither of them, a damaged one, or a library that is missing.
    """
    path = Path(path)
    if not path.is_dir():
        return ExactIndex(path)
    if not (path / PLACES).is_file() or not (path / GRAPH).is_file():
        raise NysformerError(f"{path}: not a folder of `nysformer index`; name one, or a file of `nysformer embed`")
    return GraphIndex(path)


def build_index(
    vectors: str | Path, folder: str | Path, *, on_progress: Callable[[int, int], None] | None = None
) -> int:
    """Build a graph (HNSW) over the vectors of a file, in a folder that appears whole or not at all.

    Worth its time from some 10^5 vectors on: `nysformer search` compares fewer of them one by one in milliseconds. The
    folder holds all that a search needs; vectors are kept as float16.

    Args:
        vectors: a file of `nysformer embed`.
        folder: to make; nothing may stand there.
        on_progress: is told how many vectors are in, and n.

    Returns:
        n.

    Raises:
        NysformerError: an unusable file or folder; the library is not installed.
    """
    from pyarrow.parquet import ParquetWriter

    check_new_folder(folder)
    file = VectorFile(vectors)
    graph = _new_graph(file.dimension)
    with new_folder(folder) as partial:
        done = 0
        for block in file.blocks():
            graph.add(np.arange(done, done + len(block)), np.ascontiguousarray(block), threads=torch.get_num_threads())
            done += len(block)
            if on_progress is not None:
                on_progress(done, file.count)
        graph.save(str(partial / GRAPH))
        schema = file.schema.with_metadata({METADATA: json.dumps(file.about).encode()})
        with ParquetWriter(partial / PLACES, schema, compression="ZSTD") as writer:
            for table in file.tables():
                writer.write_table(table.cast(schema))
    return file.count


def _new_graph(dimension: int) -> Any:
    try:
        from usearch.index import Index
    except ImportError as error:
        raise NysformerError("an index folder needs usearch; pip install 'nysformer[search]'") from error
    return Index(
        ndim=dimension,
        metric="cos",
        dtype="f16",
        connectivity=CONNECTIVITY,
        expansion_add=EXPANSION_ADD,
        expansion_search=EXPANSION_SEARCH,
    )
