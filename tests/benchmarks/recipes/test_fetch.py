"""Archives come from the cache, and are refused if they are other ones; nothing is downloaded here."""

import hashlib
from pathlib import Path

import pytest

from benchmarks.recipes.fetch import npm_package, wheel
from nysformer.errors import NysformerError


def test_what_is_in_the_cache_is_used(tmp_path: Path) -> None:
    (tmp_path / "toy-1.0.tgz").write_bytes(b"toy")
    digest = hashlib.sha256(b"toy").hexdigest()
    assert npm_package("toy", "1.0", digest, tmp_path) == tmp_path / "toy-1.0.tgz"


def test_another_file_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "toy-1.0-py3-none-any.whl").write_bytes(b"other")
    with pytest.raises(NysformerError, match=r"toy-1\.0-py3-none-any\.whl: not the file this recipe was made for"):
        wheel("toy-1.0-py3-none-any.whl", hashlib.sha256(b"toy").hexdigest(), tmp_path)


def test_a_missing_client_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(NysformerError, match="npm: not found"):
        npm_package("toy", "1.0", "", tmp_path)
    assert not list(tmp_path.iterdir())
