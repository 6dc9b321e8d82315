"""Read YAML files whose fields are known, with one line per mistake."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml

from nysformer.errors import NysformerError

__all__ = ["Fields", "check_fields", "read_fields"]

Fields = Mapping[str, tuple[str, Callable[[Any], bool]]]
"""Field -> what it has to be, in words, and whether a value is that."""


def read_fields(path: Path, wanted: Fields, defaults: Mapping[str, Any]) -> dict[str, Any]:
    """Read a YAML file that holds one mapping, and check it as `check_fields`.

    Raises:
        NysformerError: it cannot be read, or what `check_fields` raises.
    """
    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise NysformerError(f"{path}: cannot be read ({' '.join(str(error).split())})") from error
    return check_fields(str(path), found, wanted, defaults)


def check_fields(place: str, found: Any, wanted: Fields, defaults: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a mapping, with the defaults of those it lacks.

    Args:
        place: what the errors begin with.
        found: what was read.
        wanted: all fields.
        defaults: of the fields that may be left out.

    Raises:
        NysformerError: it is no mapping, or a field is missing, unknown, or not what it has to be.
    """
    if not isinstance(found, dict):
        raise NysformerError(f"{place}: no names with values; give {', '.join(wanted)}")
    content = {**defaults, **found}
    for name in content.keys() ^ wanted.keys():
        raise NysformerError(f"{place}: {name}: {'is missing' if name in wanted else 'is unknown; leave it out'}")
    for name, (words, holds) in wanted.items():
        if not holds(content[name]):
            raise NysformerError(f"{place}: {name}: {content[name]!r} is not {words}")
    return content
