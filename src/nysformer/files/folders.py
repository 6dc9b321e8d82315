"""A folder appears whole or not at all."""

import errno
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from nysformer.errors import NysformerError
from nysformer.files.atomic import check_parent, write_error
from nysformer.files.failures import write_failure

__all__ = ["check_new_folder", "missing_folders", "new_folder", "remove_empty"]


def check_new_folder(path: str | Path) -> Path:
    """Check that a folder can be made at `path`, without making anything.

    Raises:
        NysformerError: something stands there, other than an empty folder; a file stands where a folder above it
            should; the place is not writable.
    """
    path = Path(path)
    check_parent(path, exists=False)
    if path.is_dir() and not path.is_symlink() and not any(path.iterdir()):
        return path
    if path.exists() or path.is_symlink():
        raise NysformerError(f"{path}: something stands there already; name another folder or move it away")
    return path


@contextmanager
def new_folder(path: str | Path) -> Iterator[Path]:
    """Give a folder to write to, and move it to `path` when the block ends well; else nothing is left of it.

    Several processes may make the same folder: the first to finish has it, the others get an error.

    Raises:
        NysformerError: as `check_new_folder`; the disk is full or fails; another process made something at `path`
            meanwhile.

    Example:
        >>> with new_folder("model") as folder:
        ...     _ = (folder / "config.json").write_text("{}")
        >>> [file.name for file in Path("model").iterdir()]
        ['config.json']
    """
    path = check_new_folder(path)
    made = missing_folders(path.parent)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(prefix=f".{path.name[:60]}.", suffix=".part", dir=path.parent))
    except OSError as error:
        remove_empty(made)
        raise write_error(path, error) from error
    try:
        folder = partial / path.name
        folder.mkdir()  # with the usual permissions, which a temporary folder has not
        yield folder
        _move(folder, path)
    except OSError as error:
        raise write_error(path, error) from error
    except Exception as error:
        reason = write_failure(error)
        if reason is None:
            raise
        raise NysformerError(f"{path}: cannot be written ({reason}); free some space or name another place") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
        remove_empty(made)


def missing_folders(path: Path) -> list[Path]:
    """The folder and those above it that do not exist yet, the deepest first."""
    return [each for each in (path, *path.parents) if not each.exists()]


def remove_empty(folders: list[Path]) -> None:
    """Remove folders, the deepest first, up to the first that is not empty."""
    with suppress(OSError):
        for folder in folders:
            folder.rmdir()


def _move(folder: Path, path: Path) -> None:
    """Move a folder to a place where nothing is, or an empty folder."""
    try:
        folder.replace(path)
    except OSError as error:
        if error.errno not in {errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR}:
            raise
        raise NysformerError(
            f"{path}: another process made something there meanwhile, which stays; name another folder"
        ) from error
