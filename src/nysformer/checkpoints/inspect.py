"""What a model folder holds and costs, told from its configuration and its files' headers: no weight is loaded."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open

from nysformer import models
from nysformer.checkpoints.adapters import adapter_base, is_adapter
from nysformer.checkpoints.config import check_shapes, read_config, stored_shapes
from nysformer.checkpoints.load import TOKENIZERS, check_model
from nysformer.errors import NysformerError
from nysformer.models import NystromformerConfig
from nysformer.models.cost import Cost, document_cost
from nysformer.ops import LandmarkKind

__all__ = ["LENGTHS", "Inspection", "inspect"]

LENGTHS = (512, 4096, 65536)
_HEAD = "head"
_PARTS = (
    ("embeddings.word_embeddings", "token embeddings"),
    ("embeddings.position_embeddings", "positions"),
    ("embeddings.token_type_embeddings", "token types"),
    ("LayerNorm", "norms"),
    ("attention.self.conv", "convolution"),
    ("attention.", "attention projections"),
    ("encoder.", "feed-forward"),
)


@dataclass(frozen=True, kw_only=True)
class Inspection:
    """A model folder.

    Attributes:
        architecture: the class the checkpoint was saved from.
        parameters: their number by part, tied ones counted once.
        dtype: of the weights in the file; None where they are pickled.
        attention_mode: "auto", "nystrom" or "softmax", as the model will run.
        exact_length: tokens up to which attention is softmax in every layer; None for any number.
        num_landmarks, landmarks, landmark_steps, layer_overrides, conv_kernel_size: as configured.
        pooling: what a head for whole documents reads, see `NystromformerConfig.classifier_pooling`; None for others.
        positions: tokens a document may have; None where the model has no positions.
        costs: of one document, at `LENGTHS`.
        files: name and size in bytes.
        warnings: what its user should know, a line each.
    """

    architecture: str
    parameters: dict[str, int]
    dtype: str | None
    attention_mode: str
    exact_length: int | None
    num_landmarks: int
    landmarks: LandmarkKind
    landmark_steps: int
    layer_overrides: Mapping[int, Mapping[str, Any]]
    conv_kernel_size: int | None
    pooling: str | None
    positions: int | None
    costs: tuple[Cost, ...]
    files: tuple[tuple[str, int], ...]
    warnings: tuple[str, ...]


def inspect(folder: str | Path) -> Inspection:
    """Look at a model folder.

    Raises:
        NysformerError: no model folder, not a Nyströmformer, or a configuration or header that cannot be read.
    """
    folder = Path(folder)
    if is_adapter(folder):
        raise NysformerError(
            f"{folder}: an adapter, and inspect reads whole models: look at its base, {adapter_base(folder)}, or save "
            "it merged: PeftModel.merge_and_unload().save_pretrained(new_folder)"
        )
    check_model(folder)
    config = read_config(folder)
    names = [name for name in models.__all__ if name.startswith("NystromformerFor")]
    architecture = next(iter(config.architectures or []), "NystromformerModel")
    kind = getattr(models, architecture if architecture in names else "NystromformerModel")
    stored, dtypes = _stored(folder)
    check_shapes(folder, config, kind, stored_shapes(folder))
    with torch.device("meta"):
        model = kind(config)
    positions = config.max_position_embeddings if config.position_embedding_type == "absolute" else None
    return Inspection(
        architecture=architecture,
        parameters=_parts(model),
        dtype=", ".join(sorted(dtypes)) or None,
        attention_mode=config.resolved_attention_mode,
        exact_length=config.exact_length,
        num_landmarks=config.num_landmarks,
        landmarks=config.landmarks,
        landmark_steps=config.landmark_steps,
        layer_overrides={layer: values for layer, values in (config.layer_overrides or {}).items() if values},
        conv_kernel_size=config.conv_kernel_size,
        pooling=config.classifier_pooling if hasattr(model, "pooling") else None,
        positions=positions,
        costs=tuple(document_cost(config, tokens) for tokens in LENGTHS),
        files=tuple(sorted((path.name, path.stat().st_size) for path in folder.iterdir() if path.is_file())),
        warnings=tuple(_warnings(folder, config, model, stored, positions)),
    )


def _parts(model: torch.nn.Module) -> dict[str, int]:
    count: Counter[str] = Counter()
    for key, parameter in model.named_parameters():
        plain = key.removeprefix("nystromformer.")
        in_body = plain.startswith(("embeddings.", "encoder."))
        part = next(part for mark, part in _PARTS if mark in plain) if in_body else _HEAD
        count[part] += parameter.numel()
    order = [*dict.fromkeys(part for _, part in _PARTS), _HEAD]
    return {part: count[part] for part in order if part in count}


def _stored(folder: Path) -> tuple[set[str], set[str]]:
    """Names and dtypes of the weights in safetensors files, from their headers."""
    names: set[str] = set()
    dtypes: set[str] = set()
    for path in sorted(folder.glob("*.safetensors")):
        try:
            with safe_open(path, framework="pt") as file:
                for key in file.keys():  # noqa: SIM118  # it is no dictionary
                    names.add(key)
                    dtypes.add(str(file.get_slice(key).get_dtype()))
        except (OSError, SafetensorError) as error:
            raise NysformerError(f"{path}: cannot be read ({error}); copy or train the model again") from error
    return names, dtypes


def _warnings(
    folder: Path,
    config: NystromformerConfig,
    model: torch.nn.Module,
    stored: set[str],
    positions: int | None,
) -> list[str]:
    found = []
    exact_length = config.exact_length
    if exact_length is None:
        found.append(
            "this checkpoint runs softmax attention: cost grows with the square of the length; turn the landmarks on "
            "with `nysformer convert`"
        )
    elif positions is not None and positions <= exact_length:
        found.append(
            f"no document reaches the landmarks: softmax attention up to {exact_length:,} tokens, {positions:,} "
            "positions; `nysformer convert` gives it more of them"
        )
    if stored:
        body = "nystromformer."
        wanted = {key.removeprefix(body) for key, _ in model.named_parameters()}
        missing = sorted(wanted - {key.removeprefix(body) for key in stored})
        # A head model may be saved with either name of a tied weight.
        missing = [key for key in missing if not key.startswith("cls.predictions.")]
        if missing:
            found.append(
                f"{len(missing)} weights are not in the file, such as {missing[0]}: they would start untrained"
            )
    else:
        found.append("the weights are pickled: `nysformer convert --allow-pickle` writes them as safetensors")
    if not any((folder / name).is_file() for name in TOKENIZERS):
        found.append("no tokenizer in the folder: save the one it was trained with there")
    if not (folder / "README.md").is_file():
        found.append("no model card (README.md) in the folder")
    return found
