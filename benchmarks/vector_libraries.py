"""Libraries for nearest vectors behind one interface, with the parameters they are measured with.

Shapes: n vectors, D their dimension; all have length 1, so that the inner product is the cosine.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

__all__ = ["CONNECTIVITY", "EXPANSION_ADD", "LIBRARIES", "LISTS", "Matrix", "VectorLibrary"]

CONNECTIVITY, EXPANSION_ADD = 16, 200
"""Of the graphs (HNSW): links per vector, and candidates looked at while building."""
LISTS = 1024
"""Of the inverted file (IVF)."""

Matrix = NDArray[np.float32]


class VectorLibrary(ABC):
    """One way to find nearest vectors.

    Attributes:
        package: that has to be installed.
        settings: of the search, each measured by itself; the larger, the more is looked at.
        same_file_as: the name of the library above whose file is opened; None: it builds its own.
    """

    package: ClassVar[str]
    settings: ClassVar[tuple[int, ...]] = (0,)
    same_file_as: ClassVar[str | None] = None

    @abstractmethod
    def build(self, vectors: Matrix) -> None:
        """Index (n, D) vectors."""

    @abstractmethod
    def save(self, path: Path) -> None:
        """Write the index to one file."""

    @abstractmethod
    def load(self, path: Path, dimension: int) -> None:
        """Open what `save` wrote."""

    @abstractmethod
    def search(self, query: Matrix, count: int, setting: int) -> Any:
        """(count) numbers of the nearest vectors of one query, (D), the nearest first."""


class Numpy(VectorLibrary):
    package = "numpy"

    def build(self, vectors: Matrix) -> None:
        self.vectors = np.array(vectors)

    def save(self, path: Path) -> None:
        with path.open("wb") as file:
            np.save(file, self.vectors)

    def load(self, path: Path, dimension: int) -> None:
        self.vectors = np.load(path)

    def search(self, query: Matrix, count: int, setting: int) -> Any:
        scores = self.vectors @ query
        best = np.argpartition(scores, -count)[-count:]
        return best[np.argsort(-scores[best])]


class FaissFlat(VectorLibrary):
    package = "faiss-cpu"

    def __init__(self) -> None:
        self.faiss = import_module("faiss")
        self.faiss.omp_set_num_threads(1)

    def make(self, dimension: int) -> Any:
        return self.faiss.IndexFlatIP(dimension)

    def build(self, vectors: Matrix) -> None:
        self.index = self.make(vectors.shape[1])
        if not self.index.is_trained:
            self.index.train(vectors)
        self.index.add(vectors)

    def save(self, path: Path) -> None:
        self.faiss.write_index(self.index, str(path))

    def load(self, path: Path, dimension: int) -> None:
        self.index = self.faiss.read_index(str(path))

    def set(self, setting: int) -> None:
        pass

    def search(self, query: Matrix, count: int, setting: int) -> Any:
        self.set(setting)
        return self.index.search(query[None], count)[1][0]


class FaissHnsw(FaissFlat):
    settings = (32, 64, 128, 256)

    def make(self, dimension: int) -> Any:
        index = self.faiss.IndexHNSWFlat(dimension, CONNECTIVITY, self.faiss.METRIC_INNER_PRODUCT)
        index.hnsw.efConstruction = EXPANSION_ADD
        return index

    def set(self, setting: int) -> None:
        self.index.hnsw.efSearch = setting


class FaissIvf(FaissFlat):
    settings = (8, 16, 32, 64)

    def make(self, dimension: int) -> Any:
        coarse = self.faiss.IndexFlatIP(dimension)
        return self.faiss.IndexIVFFlat(coarse, dimension, LISTS, self.faiss.METRIC_INNER_PRODUCT)

    def set(self, setting: int) -> None:
        self.index.nprobe = setting


class FaissIvfBytes(FaissIvf):
    def make(self, dimension: int) -> Any:
        coarse, kind = self.faiss.IndexFlatIP(dimension), self.faiss.ScalarQuantizer.QT_8bit
        return self.faiss.IndexIVFScalarQuantizer(coarse, dimension, LISTS, kind, self.faiss.METRIC_INNER_PRODUCT)


class Hnswlib(VectorLibrary):
    package = "hnswlib"
    settings = (32, 64, 128, 256)

    def make(self, dimension: int) -> Any:
        index = import_module("hnswlib").Index(space="ip", dim=dimension)
        index.set_num_threads(1)
        return index

    def build(self, vectors: Matrix) -> None:
        self.index = self.make(vectors.shape[1])
        self.index.init_index(len(vectors), ef_construction=EXPANSION_ADD, M=CONNECTIVITY)
        self.index.add_items(vectors, num_threads=1)

    def save(self, path: Path) -> None:
        self.index.save_index(str(path))

    def load(self, path: Path, dimension: int) -> None:
        self.index = self.make(dimension)
        self.index.load_index(str(path))

    def search(self, query: Matrix, count: int, setting: int) -> Any:
        self.index.set_ef(setting)
        return self.index.knn_query(query, count, num_threads=1)[0][0]


class Usearch(VectorLibrary):
    package = "usearch"
    settings = (32, 64, 128, 256)
    dtype: ClassVar[str] = "f32"

    def make(self, dimension: int) -> Any:
        return import_module("usearch.index").Index(
            ndim=dimension,
            metric="ip",
            dtype=self.dtype,
            connectivity=CONNECTIVITY,
            expansion_add=EXPANSION_ADD,
        )

    def build(self, vectors: Matrix) -> None:
        self.index = self.make(vectors.shape[1])
        self.index.add(np.arange(len(vectors)), vectors, threads=1)

    def save(self, path: Path) -> None:
        self.index.save(str(path))

    def load(self, path: Path, dimension: int) -> None:
        self.index = self.make(dimension)
        self.index.load(str(path))

    def search(self, query: Matrix, count: int, setting: int) -> Any:
        self.index.expansion_search = setting
        return self.index.search(query, count, threads=1).keys


class UsearchHalf(Usearch):
    dtype = "f16"


class UsearchMapped(UsearchHalf):
    """The same file, mapped and not loaded."""

    same_file_as = "usearch float16"

    def load(self, path: Path, dimension: int) -> None:
        self.index = self.make(dimension)
        self.index.view(str(path))


class UsearchBytes(Usearch):
    dtype = "i8"


LIBRARIES: dict[str, Callable[[], VectorLibrary]] = {
    "numpy": Numpy,
    "faiss flat": FaissFlat,
    "faiss IVF": FaissIvf,
    "faiss IVF int8": FaissIvfBytes,
    "faiss HNSW": FaissHnsw,
    "hnswlib": Hnswlib,
    "usearch": Usearch,
    "usearch float16": UsearchHalf,
    "usearch float16 mapped": UsearchMapped,
    "usearch int8": UsearchBytes,
}
