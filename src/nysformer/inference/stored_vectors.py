"""Read what `nysformer embed` wrote: vectors, and the places they stand for.

Shapes: n vectors, D their dimension.
"""

import functools
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nysformer.errors import NysformerError
from nysformer.inference.vector_file import METADATA, VECTOR, check_vector_format, matrix_of, places_beside

__all__ = ["Places", "VectorFile", "damaged"]

_KEPT_GROUPS = 16
# Rows of a matrix that is not in memory, read at a time.
_BLOCK = 65_536


class Places:
    """What the rows of a file of vectors stand for, read as they are asked for.

    Args:
        path: of the Parquet file with the places.
        named: how errors call it.

    Attributes:
        about: how the vectors were made, see `nysformer.inference.embed_file`.
        columns: of a row, without the vector.
        count: n.
        dimension: D.

    Raises:
        NysformerError: no such file, a damaged one, or one that something else wrote.
    """

    def __init__(self, path: Path, named: Path | None = None) -> None:
        self.path = named or path
        self._file = _open(path)
        schema = self._file.schema_arrow
        about = (schema.metadata or {}).get(METADATA)
        if about is None:
            raise NysformerError(f"{self.path}: not a file of `nysformer embed`; give one")
        self.about: dict[str, Any] = json.loads(about)
        self.columns = [name for name in schema.names if name != VECTOR]
        self.count: int = self._file.metadata.num_rows
        self.dimension: int = self.about["dimension"]
        groups = range(self._file.num_row_groups)
        self._ends = np.cumsum([self._file.metadata.row_group(group).num_rows for group in groups])
        self._group = functools.lru_cache(_KEPT_GROUPS)(self._read_group)

    def place(self, row: int) -> dict[str, Any]:
        """A row without its vector: source, line, columns of the input, a passage's characters and text.

        Raises:
            NysformerError: the file is damaged.
        """
        group = int(np.searchsorted(self._ends, row, side="right"))
        start = int(self._ends[group - 1]) if group else 0
        return dict(self._group(group).slice(row - start, 1).to_pylist()[0])

    def _read_group(self, group: int, columns: Sequence[str] | None = None) -> Any:
        from pyarrow import ArrowException

        try:
            return self._file.read_row_group(group, columns=list(columns or self.columns))
        except (ArrowException, OSError) as error:
            raise damaged(self.path, error) from error

    def tables(self) -> Iterator[Any]:
        """All rows without their vectors, a table at a time."""
        for group in range(len(self._ends)):
            yield self._read_group(group)

    @property
    def schema(self) -> Any:
        """The Arrow schema of `tables`, with `about` in its metadata."""
        schema = self._file.schema_arrow
        return schema.remove(schema.get_field_index(VECTOR)) if VECTOR in schema.names else schema


class VectorFile(Places):
    """A file of vectors that `nysformer embed` wrote, open for reading.

    Args:
        path: ends in .parquet or .npy.

    Raises:
        NysformerError: as `Places`.
    """

    def __init__(self, path: str | Path) -> None:
        path = Path(path)
        check_vector_format(path)
        is_matrix = path.suffix.lower() == ".npy"
        super().__init__(places_beside(path) if is_matrix else path, path)
        self._matrix = _open_matrix(path, (self.count, self.dimension)) if is_matrix else None

    def blocks(self) -> Iterator[NDArray[np.float32]]:
        """The vectors in their order, some at a time: (rows, D) each.

        Raises:
            NysformerError: the file is damaged.
        """
        if self._matrix is not None:
            for start in range(0, self.count, _BLOCK):
                yield self._matrix[start : start + _BLOCK]
            return
        for group in range(len(self._ends)):
            yield matrix_of(self._read_group(group, [VECTOR]).column(VECTOR), self.dimension)

    def vectors(self) -> NDArray[np.float32]:
        """(n, D), in memory; of a .npy file, mapped from the disk.

        Raises:
            NysformerError: the file is damaged.
        """
        if self._matrix is not None:
            return self._matrix
        return np.concatenate([np.zeros((0, self.dimension), dtype=np.float32), *self.blocks()])


def damaged(path: Path, error: Exception) -> NysformerError:
    """The error for a file that cannot be read."""
    return NysformerError(f"{path}: cannot be read ({str(error).partition(chr(10))[0]}); make it again")


def _open(path: Path) -> Any:
    from pyarrow import ArrowException
    from pyarrow.parquet import ParquetFile

    if not path.is_file():
        raise NysformerError(f"{path}: no such file; make it with `nysformer embed`")
    try:
        return ParquetFile(path)
    except (ArrowException, OSError) as error:
        raise damaged(path, error) from error


def _open_matrix(path: Path, shape: tuple[int, int]) -> NDArray[np.float32]:
    if not path.is_file():
        raise NysformerError(f"{path}: no such file; make it with `nysformer embed`")
    try:
        matrix: NDArray[np.float32] = np.load(path, mmap_mode="r")
    except (OSError, ValueError) as error:
        raise damaged(path, error) from error
    if matrix.shape != shape or matrix.dtype != np.float32:
        raise NysformerError(f"{path}: its vectors are not those of {places_beside(path)}; make both again")
    return matrix
