"""A folder appears whole or not at all."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from safetensors import SafetensorError

from nysformer.data.atomic import check_parent, write_error
from nysformer.errors import NysformerError

__all__ = ["check_new_folder", "new_folder"]


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

    Raises:
        NysformerError: something stands at `path`, or nothing can be written there.

    Example:
        >>> with new_folder("model") as folder:
        ...     _ = (folder / "config.json").write_text("{}")
        >>> [file.name for file in Path("model").iterdir()]
        ['config.json']
    """
    path = check_new_folder(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent))
    except OSError as error:
        raise write_error(path, error) from error
    try:
        folder = partial / path.name
        folder.mkdir()  # with the usual permissions, which a temporary folder has not
        yield folder
        folder.replace(path)
    except OSError as error:
        raise write_error(path, error) from error
    except SafetensorError as error:  # its own name for a full disk
        raise NysformerError(f"{path}: cannot be written ({error}); free some space or name another place") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
