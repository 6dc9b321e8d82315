"""Fashion-MNIST as sequences of pixels, row by row: a stand-in for the arena's CIFAR-10."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.recipes.fetch import debian_package, unpacked
from nysformer.errors import NysformerError

__all__ = ["BRIGHTNESSES", "PIXELS", "images", "read_idx"]

PIXELS = 28 * 28
BRIGHTNESSES = 256
_PACKAGE = "dataset-fashion-mnist"
_UNSIGNED_BYTES = 8


def images(cache: Path, seed: int) -> Iterator[tuple[NDArray[np.uint8], int]]:
    """The images for training in an order that the seed decides, then those for testing in theirs.

    Args:
        cache: where the package goes.
        seed: of the order.

    Yields:
        (784,) brightnesses and the class, 0 .. 9.

    Raises:
        NysformerError: the package cannot be had.
    """
    folder = unpacked(debian_package(_PACKAGE, cache)) / "usr/share/datasets/fashion-mnist"
    for name in ("train", "t10k"):
        pixels = read_idx(folder / f"{name}-images-idx3-ubyte.gz")
        labels = read_idx(folder / f"{name}-labels-idx1-ubyte.gz")
        order = np.random.default_rng(seed).permutation(len(labels)) if name == "train" else np.arange(len(labels))
        for row in order:
            yield pixels[row].reshape(-1), int(labels[row])


def read_idx(path: Path) -> NDArray[np.uint8]:
    """The array in a gzipped IDX file of bytes: two zeros, the type, the number of dimensions, each as 32 bits, values.

    Raises:
        NysformerError: it is missing, or no such file.
    """
    try:
        content = gzip.decompress(path.read_bytes())
        zeros, kind, rank = int.from_bytes(content[:2], "big"), content[2], content[3]
        shape: tuple[Any, ...] = tuple(np.frombuffer(content, ">u4", rank, 4))
        values = np.frombuffer(content, np.uint8, offset=4 + 4 * rank)
        if zeros != 0 or kind != _UNSIGNED_BYTES:
            raise ValueError("another type")
        return values.reshape(shape)
    except (OSError, EOFError, ValueError, IndexError) as error:
        raise NysformerError(f"{path}: no IDX file of bytes ({error}); remove its folder to fetch it again") from error
