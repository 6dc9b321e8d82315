"""Loads and checks models and tokenizers from folders; refuses damaged ones, and classifiers without a trained head."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from transformers import AutoTokenizer, PreTrainedTokenizerBase
from transformers.utils import logging as transformers_logging

from nysformer.checkpoints.adapters import ADAPTER, adapter_base, is_adapter, merge_adapter, saved_labels, task_class
from nysformer.checkpoints.config import check_shapes, read_config, stored_shapes
from nysformer.checkpoints.convert.conversion import UNREADABLE
from nysformer.checkpoints.convert.families import FAMILIES
from nysformer.errors import NysformerError
from nysformer.models import (
    NystromformerConfig,
    NystromformerForMaskedLM,
    NystromformerForMultipleChoice,
    NystromformerForQuestionAnswering,
    NystromformerForSequenceClassification,
    NystromformerForTokenClassification,
    NystromformerModel,
    NystromformerPreTrainedModel,
)
from nysformer.models.configuration import unusable
from nysformer.models.settings import one_line, read_json

__all__ = ["check_model", "has_tokenizer", "load_config", "load_model", "load_tokenizer", "read_tokenizer"]

Model = TypeVar("Model", bound=NystromformerPreTrainedModel)
MODELS: tuple[type[NystromformerPreTrainedModel], ...] = (
    NystromformerModel,
    NystromformerForMaskedLM,
    NystromformerForSequenceClassification,
    NystromformerForMultipleChoice,
    NystromformerForTokenClassification,
    NystromformerForQuestionAnswering,
)
WEIGHTS = ("model.safetensors", "model.safetensors.index.json", "pytorch_model.bin", "pytorch_model.bin.index.json")
# Outputs as everything here reads them, whatever the folder's configuration asks for.
_PLAIN_OUTPUT = {"return_dict": True, "output_hidden_states": False, "output_attentions": False}
TOKENIZERS = ("tokenizer.json", "vocab.txt", "spiece.model", "sentencepiece.bpe.model", "tokenizer.model", "vocab.json")


def check_model(source: str | Path, *, hub: bool = False) -> None:
    """Check that `source` is a Nyströmformer, by its configuration and its file names, before anything is loaded.

    Args:
        source: a model folder.
        hub: what is not a folder is the name of a model on the hub, which is asked for its configuration.

    Raises:
        NysformerError: no such folder or name, no configuration or weights in it, a configuration that is not JSON, or
            one of another kind of model.
    """
    folder = Path(source)
    if is_adapter(folder):
        base = adapter_base(folder)
        if not hub and not Path(base).exists():
            raise NysformerError(
                f"{folder}: the adapter was trained on {base}, which is no folder here; put it there, or correct "
                f"base_model_name_or_path in {ADAPTER}"
            )
        check_model(base, hub=hub)
        return
    if folder.is_dir():
        config = _folder_config(folder)
        if not any((folder / name).is_file() for name in WEIGHTS):
            raise NysformerError(f"{folder}: no weights ({WEIGHTS[0]}) in the folder; copy or train the model again")
    elif hub and not folder.exists():
        try:
            config, _ = NystromformerConfig.get_config_dict(str(source))
        except NysformerError as error:
            raise unusable(source, error) from error
        except UNREADABLE as error:
            raise NysformerError(f"{source}: no such folder, nor found on the hub ({one_line(error)})") from error
    else:
        raise NysformerError(f"{source}: no such model folder; give the folder that `nysformer finetune` wrote")
    kind = config.get("model_type")
    if isinstance(kind, str) and kind in FAMILIES:
        raise NysformerError(
            f"{source}: a {kind} model, not a Nyströmformer; convert it first with `nysformer convert` "
            "(in Python: nysformer.from_bert, for BERT)"
        )
    if kind != NystromformerConfig.model_type:
        raise NysformerError(
            f"{source}: by its config.json the model's type is {kind!r}, not {NystromformerConfig.model_type!r}; give "
            "another model"
        )


def _folder_config(folder: Path) -> dict[str, Any]:
    path = folder / "config.json"
    if not path.exists():
        raise NysformerError(f"{folder}: no config.json, so not a model folder; give one")
    try:
        return read_json(path)
    except NysformerError as error:
        raise NysformerError(f"{path}: {error}; copy or train the model again") from error


def has_tokenizer(source: str | Path) -> bool:
    """Whether a model folder, or an adapter's base, has a tokenizer inside; taken for granted for a name on the hub."""
    folder = Path(source)
    if not folder.is_dir() or any((folder / name).is_file() for name in TOKENIZERS):
        return True
    return is_adapter(folder) and has_tokenizer(adapter_base(folder))


def load_tokenizer(source: str | Path) -> PreTrainedTokenizerBase:
    """The tokenizer saved beside a model.

    Args:
        source: a model folder, or the name of a model on the hub.

    Raises:
        NysformerError: there is none, or it cannot be read; a configuration with impossible values.
    """
    if not has_tokenizer(source):
        raise NysformerError(f"{source}: no tokenizer in the folder; save it there: tokenizer.save_pretrained(folder)")
    # With the configuration in hand: its faults are its own, and AutoTokenizer would read it with transformers' class.
    base = adapter_base(source) if is_adapter(source) else source
    config = read_config(base)
    if not any((Path(source) / name).is_file() for name in TOKENIZERS):
        source = base
    try:
        return AutoTokenizer.from_pretrained(str(source), config=config, trust_remote_code=False)
    except Exception as error:  # the tokenizers library raises bare Exceptions
        raise NysformerError(f"{source}: its tokenizer cannot be read ({one_line(error)}); save it anew") from error


def read_tokenizer(source: str | Path) -> PreTrainedTokenizerBase:
    """A tokenizer alone, whatever else is in its folder.

    Args:
        source: a folder, or a name on the hub.

    Raises:
        NysformerError: there is none, or it cannot be read; a Nyströmformer's configuration with impossible values.
    """
    folder = Path(source)
    if folder.is_dir():
        if not has_tokenizer(folder):
            raise NysformerError(f"{folder}: no tokenizer in the folder; give tokenizer=NAME, a folder or a hub name")
        if _model_type(folder / "config.json") == NystromformerConfig.model_type:
            return load_tokenizer(folder)
    try:
        return AutoTokenizer.from_pretrained(str(source), trust_remote_code=False)
    except Exception as error:  # the tokenizers library raises bare Exceptions
        raise NysformerError(
            f"{source}: no tokenizer can be read ({one_line(error)}); give tokenizer=NAME, a folder or a hub name"
        ) from error


def _model_type(path: Path) -> Any:
    if not path.is_file():
        return None
    try:
        return read_json(path).get("model_type")
    except NysformerError as error:
        raise NysformerError(f"{path}: {error}; copy the folder again") from error


def load_model(
    source: str | Path,
    kind: type[NystromformerPreTrainedModel] | None = None,
    *,
    hub: bool = False,
    new_head: bool = False,
    dtype: Any = None,
    **overrides: Any,
) -> NystromformerPreTrainedModel:
    """A model whose every weight came out of the checkpoint, in evaluation mode, on the CPU.

    Args:
        source: a model folder, or that of a peft adapter, which is merged into the model it was trained on.
        kind: the model with the head that is wanted; None for the one that the checkpoint names itself, backbone or
            one of the five heads.
        hub: allow the name of a model on the hub.
        new_head: with `kind`: begin with a fresh head where the checkpoint has none or one of another size, to be
            trained.
        dtype: of the weights; None for float32.
        overrides: configuration fields such as `num_labels`, `id2label`, `label2id`, `problem_type`.

    Raises:
        NysformerError: as `check_model`; a configuration with impossible values, or one that names none of our models;
            weights that are damaged, missing, left over, or of other shapes than the configuration's; without
            `new_head`, no trained head.
    """
    config = load_config(source, hub=hub, **overrides)
    if kind is not None:
        model, headless = _read_model(kind, source, config, dtype)
        if headless and not new_head:
            raise NysformerError(
                f"{source}: no trained {_head_name(kind, config)} in the checkpoint ({min(headless)}); train one with "
                "`nysformer finetune`"
            )
        return model
    known = {kind.__name__: kind for kind in MODELS}
    name = (config.architectures or [NystromformerModel.__name__])[0]
    if is_adapter(source):
        name = task_class(source) or name
    if name not in known:
        raise NysformerError(f"{source}: its config.json names a {name}; one of {', '.join(known)} can be read")
    model, headless = _read_model(known[name], source, config, dtype)
    if headless:
        raise NysformerError(
            f"{source}: the checkpoint of a {name} without its head ({min(headless)}); train or save it again"
        )
    return model


def _head_name(kind: type[NystromformerPreTrainedModel], config: NystromformerConfig) -> str:
    if kind is NystromformerForSequenceClassification:
        return f"classification head of {config.num_labels} labels"
    return f"head of a {kind.__name__}"


def load_config(source: str | Path, *, hub: bool = False, **overrides: Any) -> NystromformerConfig:
    """The configuration of a checkpoint, or of the model that an adapter was trained on, with the adapter's labels.

    Raises:
        NysformerError: as `check_model`; impossible values.
    """
    check_model(source, hub=hub)
    if is_adapter(source):
        return read_config(adapter_base(source), **{**_PLAIN_OUTPUT, **saved_labels(source), **overrides})
    return read_config(source, **{**_PLAIN_OUTPUT, **overrides})


def _read_model(
    kind: type[Model], source: str | Path, config: NystromformerConfig, dtype: Any
) -> tuple[Model, set[str]]:
    """As `_read_weights`; of an adapter's folder, its base with the adapter merged."""
    if not is_adapter(source):
        return _read_weights(kind, source, config, dtype)
    model, headless = _read_weights(kind, adapter_base(source), config, None)
    merged, headless = merge_adapter(model, source, headless)
    assert isinstance(merged, kind)
    return merged if dtype is None else merged.to(dtype), headless


def _read_weights(
    kind: type[Model], source: str | Path, config: NystromformerConfig, dtype: Any
) -> tuple[Model, set[str]]:
    """The model, and the weights of its head that the checkpoint does not have in that shape."""
    try:
        shapes = stored_shapes(source)
    except NysformerError as error:
        raise NysformerError(f"{source}: its weights cannot be read: {error}") from error
    check_shapes(source, config, kind, shapes)
    try:
        with _quiet():
            model, info = kind.from_pretrained(
                str(source),
                config=config,
                dtype=dtype or "float32",
                ignore_mismatched_sizes=True,  # they are looked at below, all at once
                output_loading_info=True,
            )
    except NysformerError:
        raise
    except UNREADABLE as error:
        raise NysformerError(
            f"{source}: its weights cannot be read ({one_line(error)}); copy or train the model again"
        ) from error
    missing = set(info["missing_keys"]) | {key for key, *_ in info["mismatched_keys"]}
    body = "" if kind is NystromformerModel else f"{kind.base_model_prefix}."
    # A head of another task is left aside in silence; a layer that the configuration does not know is not.
    wrong = {key for key in missing if key.startswith(body)}
    wrong |= {key for key in info["unexpected_keys"] if key.startswith((body or "encoder.", "encoder.", "embeddings."))}
    if wrong:
        raise NysformerError(
            f"{source}: {len(wrong)} weights do not match its config.json ({min(wrong)}); copy or train the model again"
        )
    return model, missing


@contextmanager
def _quiet() -> Iterator[None]:
    """Without transformers' loading bar and its reports on keys: what is wrong becomes one error."""
    logger = logging.getLogger("transformers.modeling_utils")
    bar = transformers_logging.is_progress_bar_enabled()
    transformers_logging.disable_progress_bar()
    logger.addFilter(_not_a_report)
    try:
        yield
    finally:
        logger.removeFilter(_not_a_report)
        if bar:
            transformers_logging.enable_progress_bar()


def _not_a_report(record: logging.LogRecord) -> bool:
    message = record.getMessage()
    return "LOAD REPORT" not in message and "tied weights mapping" not in message
