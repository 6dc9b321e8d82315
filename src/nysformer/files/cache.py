"""Made files that are used again: only if they were made by the same recipe, and are still as they were made."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from nysformer.files.atomic import write_atomically

__all__ = ["read_record", "write_record"]


def write_record(record: Path, recipe: Mapping[str, Any], names: Iterable[str], **more: Any) -> dict[str, Any]:
    """Write down how the files beside `record` were made, and their SHA-256. Call it last: the record vouches for them.

    Args:
        record: the JSON file to write.
        recipe: everything that decides what the files hold; plain JSON values.
        names: the files, in the record's folder.
        more: further keys.

    Returns:
        What was written.
    """
    content = {"recipe": dict(recipe), "files": {name: _digest(record.with_name(name)) for name in names}, **more}
    with write_atomically(record) as file:
        json.dump(content, file, indent=1)
        file.write("\n")
    return content


def read_record(record: Path, recipe: Mapping[str, Any]) -> dict[str, Any] | None:
    """What `write_record` wrote, or None if it was for another recipe, or if it or one of its files is damaged."""
    try:
        content = json.loads(record.read_text(encoding="utf-8"))
        intact = content["recipe"] == dict(recipe) and all(
            _digest(record.with_name(name)) == digest for name, digest in content["files"].items()
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return content if intact else None


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
