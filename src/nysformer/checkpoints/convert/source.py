"""Finding out what a source is, loading it, and converting it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import transformers
from transformers import AutoConfig, AutoModel, AutoModelForMaskedLM, PreTrainedConfig

from nysformer import models
from nysformer.checkpoints.config import check_shapes, read_config, stored_shapes
from nysformer.checkpoints.convert.authors import convert_authors
from nysformer.checkpoints.convert.conversion import UNREADABLE, Conversion, parts, refuse_pickle
from nysformer.checkpoints.convert.encoder import convert_encoder, family_of, head_is_ours
from nysformer.checkpoints.convert.families import FAMILIES, to_ours
from nysformer.checkpoints.options import ConversionOptions
from nysformer.errors import NysformerError
from nysformer.models.configuration import NystromformerConfig, unusable
from nysformer.models.encoder import NystromformerModel
from nysformer.models.settings import one_line, read_json

__all__ = ["convert_source"]


def convert_source(source: str | Path, options: ConversionOptions) -> Conversion:
    """Find out what a source is and convert it.

    Args:
        source: a model folder, a name on the hub, or a checkpoint file of the authors' training code.
        options: see there.

    Raises:
        NysformerError: nothing there; pickled without `allow_pickle`; a kind of model that cannot be converted, named;
            weights that are damaged or do not fit their configuration; options that do not fit the source.
    """
    path, name = Path(source), str(source)
    if path.is_file():
        return convert_authors(path, options)
    if (path / "adapter_config.json").is_file():
        raise NysformerError(
            f"{name}: an adapter, and convert reads whole models: save it merged first, "
            "PeftModel.merge_and_unload().save_pretrained(new_folder)"
        )
    if path.exists() and not (path / "config.json").is_file():
        raise NysformerError(f"{name}: no config.json in the folder; name a model folder or a checkpoint file")
    settings = _settings(path)
    kind = settings.get("model_type")
    if not isinstance(kind, str):
        raise NysformerError(f"{name}: the model_type in its config.json is {kind!r}, not a name; correct it")
    if kind != NystromformerConfig.model_type and kind not in FAMILIES:
        known = ", ".join(sorted(FAMILIES))
        raise NysformerError(f"{name} is a {kind!r} model: only {known} and nystromformer can be converted")
    if path.is_dir() and not options.allow_pickle and not any(path.glob("*.safetensors")):
        refuse_pickle(next(iter(sorted(path.glob("*.bin"))), None), name)
    try:
        if kind == NystromformerConfig.model_type:
            return _nystromformer(name, options)
        return _encoder(name, options)
    except NysformerError:
        raise
    except Exception as error:  # nor is what its model does
        raise NysformerError(f"{name}: cannot be read ({one_line(error)}); copy the checkpoint again") from error


def _settings(path: Path) -> dict[str, Any]:
    """What config.json says there, in a folder or on the hub."""
    if path.exists():
        try:
            return read_json(path / "config.json")
        except NysformerError as error:
            raise unusable(path, error) from error
    try:
        settings, _ = PreTrainedConfig.get_config_dict(str(path))
    except UNREADABLE as error:
        raise NysformerError(f"{path}: no such folder, nor found on the hub ({one_line(error)})") from error
    return settings


def _encoder(name: str, options: ConversionOptions) -> Conversion:
    try:
        config = AutoConfig.from_pretrained(name)
    except Exception as error:  # what a foreign configuration raises is not known beforehand
        raise unusable(name, error) from error
    family = family_of(config, name)
    loading = _loading(options)
    reference, info = AutoModelForMaskedLM.from_pretrained(name, **loading)
    unread = set(info["unexpected_keys"])
    if not head_is_ours(config, family) or any(not k.startswith(f"{family.prefix}.") for k in info["missing_keys"]):
        reference, info = AutoModel.from_pretrained(name, **loading)
        # Modules without trained weights, such as a pooler that was never there, are no loss.
        _, beside = to_ours(reference.state_dict(), family)
        unread = set(info["unexpected_keys"]) | (set(beside) - set(info["missing_keys"]))
        missing = sorted(set(info["missing_keys"]) - set(beside))
    else:
        missing = sorted(info["missing_keys"])
    if missing:
        raise NysformerError(f"{name}: the weight {missing[0]} is missing; copy the checkpoint again")
    model = convert_encoder(
        reference,
        name,
        max_position_embeddings=options.max_position_embeddings,
        num_landmarks=options.num_landmarks or 64,
        landmarks=options.landmarks or "clusters",
        landmark_steps=options.landmark_steps or 2,
        conv_kernel_size=options.conv_kernel_size,
        softmax_max_length=options.softmax_max_length,
        layer_overrides=options.layer_overrides(family.their_settings(config)["num_hidden_layers"]),
    )
    own_length = config.max_position_embeddings - family.first_position(config)
    return Conversion(
        kind=config.model_type,
        model=model,
        reference=reference.eval(),
        readable=own_length,
        reference_specs=(None,) * model.config.num_hidden_layers,
        dropped=parts(unread),
    )


def _nystromformer(name: str, options: ConversionOptions) -> Conversion:
    """Landmarks turned on; whatever head it has stays."""
    if options.conv_kernel_size is not None:
        raise NysformerError(f"{name}: conv_kernel_size is given, but a Nyströmformer keeps its own; leave it out")
    try:
        before = read_config(name)
    except NysformerError as error:
        raise NysformerError(f"{name}: cannot be read, {str(error).removeprefix(f'{name}: ')}") from error
    mode, length = before.resolved_attention_mode, before.resolved_segment_means_seq_len
    overrides: dict[str, Any] = {"attention_mode": "auto"}
    given = ("num_landmarks", "landmarks", "landmark_steps", "softmax_max_length")
    overrides |= {name: value for name in given if (value := getattr(options, name)) is not None}
    exact = options.layer_overrides(before.num_hidden_layers)
    if exact:
        own = before.layer_overrides or {}
        overrides["layer_overrides"] = {
            layer: {**own.get(layer, {}), **exact.get(layer, {})} for layer in sorted({*own, *exact})
        }
    config = read_config(name, **overrides)
    loading = _loading(options)
    architecture = (before.architectures or [NystromformerModel.__name__])[0]
    heads = [name for name in models.__all__ if name.startswith("NystromformerFor")]
    known = {name: getattr(models, name) for name in (NystromformerModel.__name__, *heads)}
    if architecture not in known:
        raise NysformerError(f"{name} is a {architecture}: only {', '.join(known)} can be converted")
    check_shapes(name, config, known[architecture], stored_shapes(name))
    model, info = known[architecture].from_pretrained(name, config=config, **loading)
    if info["missing_keys"]:
        raise NysformerError(f"{name}: the weight {min(info['missing_keys'])} is missing; copy the checkpoint again")
    theirs = not before._unknown_to_transformers() and (mode == "softmax" or length <= before.max_position_embeddings)
    if theirs:
        reference, _ = getattr(transformers, architecture).from_pretrained(name, **loading)
    else:  # what transformers refuses or would run otherwise is compared with itself, as it was
        reference, _ = known[architecture].from_pretrained(name, config=before, **loading)
    if options.max_position_embeddings is not None:
        model.extend_positions(options.max_position_embeddings)
    return Conversion(
        kind="nystromformer",
        model=model.eval(),
        reference=reference.eval(),
        readable=before.max_position_embeddings,
        only_length=length if theirs and mode != "softmax" else None,
        reference_specs=tuple(before.nystrom_spec(layer) for layer in range(before.num_hidden_layers)),
        dropped=parts(info["unexpected_keys"]),
    )


def _loading(options: ConversionOptions) -> dict[str, Any]:
    return {"output_loading_info": True, "use_safetensors": None if options.allow_pickle else True}
