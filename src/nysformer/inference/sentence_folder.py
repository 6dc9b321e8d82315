"""What a sentence-transformers folder says of its model: where it lies, and how token vectors become one."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

from nysformer.errors import NysformerError

__all__ = ["Pooling", "SentenceFolder", "read_sentence_folder"]

Pooling: TypeAlias = Literal["mean", "first"]
"""How a document's token vectors become one: their mean, or the first one."""

_MODULES = "modules.json"
_OURS: dict[str, Pooling] = {"mean": "mean", "cls": "first"}
_OLD_KEYS = {
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens": "weightedmean",
    "pooling_mode_lasttoken": "lasttoken",
}


@dataclass(frozen=True, slots=True)
class SentenceFolder:
    """A model folder, and what it says of the pooling.

    Attributes:
        model: the folder with config.json and the weights.
        pooling: None where nothing is said.
    """

    model: Path
    pooling: Pooling | None = None


def read_sentence_folder(folder: str | Path) -> SentenceFolder:
    """Find the model of a folder that sentence-transformers may have written; any other folder is the model's own.

    Raises:
        NysformerError: modules.json or the pooling's configuration cannot be read, or asks for something that is not
            computed here: another pooling, or layers after it.
    """
    folder = Path(folder)
    if not (folder / _MODULES).is_file():
        return SentenceFolder(folder)
    model, pooling = folder, None
    modules = _read(folder / _MODULES)
    if not isinstance(modules, list) or not all(isinstance(module, dict) for module in modules):
        raise NysformerError(f"{folder / _MODULES}: not a list of modules; copy or save the model again")
    for module in modules:
        kind = str(module.get("type")).rpartition(".")[2]
        path = folder / str(module.get("path") or "")
        if kind == "Transformer":
            model = path
        elif kind == "Pooling":
            pooling = _pooling(path / "config.json")
        elif kind != "Normalize":
            raise NysformerError(
                f"{folder}: its embeddings go through a {kind}, which is not computed here; use sentence-transformers"
            )
    return SentenceFolder(model, pooling)


def _pooling(path: Path) -> Pooling:
    config = _read(path)
    named = config.get("pooling_mode") if isinstance(config, dict) else None
    if isinstance(config, dict) and named is None:
        named = "+".join(mode for key, mode in _OLD_KEYS.items() if config.get(key))
    pooling = _OURS.get(str(named))
    if pooling is None:
        raise NysformerError(f"{path}: the pooling is {named!r}, which is not computed here; use sentence-transformers")
    return pooling


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise NysformerError(f"{path}: cannot be read; copy or save the model again") from error
