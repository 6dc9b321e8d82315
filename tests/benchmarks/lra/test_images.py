"""Images come out of the package's files as they are, or the file is named."""

import gzip
from pathlib import Path

import numpy as np
import pytest

from benchmarks.lra import images as module
from benchmarks.lra.images import images, read_idx
from nysformer.errors import NysformerError


def idx(values: np.ndarray) -> bytes:
    head = bytes([0, 0, 8, values.ndim]) + b"".join(size.to_bytes(4, "big") for size in values.shape)
    return gzip.compress(head + values.astype(np.uint8).tobytes())


def test_an_array_is_read(tmp_path: Path) -> None:
    values = np.arange(24).reshape(2, 3, 4)
    (tmp_path / "x.gz").write_bytes(idx(values))
    assert read_idx(tmp_path / "x.gz").tolist() == values.tolist()


@pytest.mark.parametrize(
    "content",
    [b"", b"plain", gzip.compress(b""), gzip.compress(b"\0\0\x0d\1\0\0\0\1\0\0\0\0"), idx(np.arange(6))[:-9]],
)
def test_another_file_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "x.gz").write_bytes(content)
    with pytest.raises(NysformerError, match=r"x\.gz: no IDX file of bytes"):
        read_idx(tmp_path / "x.gz")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(NysformerError, match=r"x\.gz: no IDX file"):
        read_idx(tmp_path / "x.gz")


def test_training_images_first_in_the_seeds_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "usr/share/datasets/fashion-mnist"
    folder.mkdir(parents=True)
    for name, first in (("train", 0), ("t10k", 100)):
        pixels = np.arange(first, first + 20)[:, None, None] + np.zeros((28, 28), dtype=int)
        (folder / f"{name}-images-idx3-ubyte.gz").write_bytes(idx(pixels))
        (folder / f"{name}-labels-idx1-ubyte.gz").write_bytes(idx(np.arange(20) % 10))
    monkeypatch.setattr(module, "debian_package", lambda name, cache: cache / f"{name}.deb")
    monkeypatch.setattr(module, "unpacked", lambda deb: deb.parent)
    made, again, other = (list(images(tmp_path, seed)) for seed in (0, 0, 1))
    firsts = [[int(pixels[0]) for pixels, _ in each] for each in (made, again, other)]
    assert firsts[0] == firsts[1]
    assert firsts[0][:20] != firsts[2][:20]
    assert sorted(firsts[0][:20]) == list(range(20))
    assert firsts[0][20:] == list(range(100, 120))
    assert all(len(pixels) == 784 and pixels[0] % 10 == label for pixels, label in made)
