"""Loads a folder with a peft adapter: the model it was trained on, with the adapter merged into it."""

from __future__ import annotations

import warnings
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from nysformer.checkpoints.config import stored_shapes
from nysformer.errors import NysformerError
from nysformer.models import NystromformerPreTrainedModel
from nysformer.models.finite import check_finite_model
from nysformer.models.settings import one_line, read_json

__all__ = ["ADAPTER", "adapter_base", "is_adapter", "merge_adapter", "saved_head", "task_class"]

ADAPTER = "adapter_config.json"
# peft's name of a task, and the model that it is trained with.
_TASKS = {
    "SEQ_CLS": "NystromformerForSequenceClassification",
    "TOKEN_CLS": "NystromformerForTokenClassification",
    "QUESTION_ANS": "NystromformerForQuestionAnswering",
    "FEATURE_EXTRACTION": "NystromformerModel",
}
_HOW = "merge it yourself: PeftModel.from_pretrained(base, folder).merge_and_unload().save_pretrained(new_folder)"


def is_adapter(source: str | Path) -> bool:
    """Whether that is a folder with an adapter of peft."""
    return (Path(source) / ADAPTER).is_file()


def adapter_base(folder: str | Path) -> str:
    """The model that an adapter was trained on: a folder, beside the adapter where its path is relative, or a hub name.

    Raises:
        NysformerError: an adapter_config.json that cannot be read, that names none, or a folder with a whole model too.
    """
    folder = Path(folder)
    if any(folder.glob("model*.safetensors")) or any(folder.glob("pytorch_model*.bin")):
        raise NysformerError(f"{folder}: holds a whole model and an adapter too; {_HOW}")
    base = _settings(folder).get("base_model_name_or_path")
    if not isinstance(base, str) or not base:
        raise NysformerError(
            f"{folder}: its {ADAPTER} does not say which model the adapter is for; write the model's folder as "
            "base_model_name_or_path there"
        )
    beside = folder / base
    return str(beside) if not Path(base).exists() and beside.is_dir() else base


def task_class(folder: str | Path) -> str | None:
    """The name of the model class that an adapter was trained with; None where it does not say."""
    task = _settings(Path(folder)).get("task_type")
    return _TASKS.get(task) if isinstance(task, str) else None


def saved_head(folder: str | Path) -> dict[str, Any]:
    """The labels and what the head reads, in a config.json beside an adapter, which peft itself writes none of."""
    file = Path(folder) / "config.json"
    if not file.is_file():
        return {}
    try:
        values = read_json(file)
    except NysformerError as error:
        raise NysformerError(f"{file}: {error}; fix it or remove it") from error
    names = ("id2label", "problem_type", "classifier_pooling", "classifier_layers", "classifier_scaling")
    return {name: values[name] for name in names if values.get(name) is not None}


def merge_adapter(
    model: NystromformerPreTrainedModel, folder: str | Path, headless: set[str]
) -> tuple[NystromformerPreTrainedModel, set[str]]:
    """Add an adapter to the weights of the model it was trained on.

    Args:
        model: changed in place.
        folder: the adapter's.
        headless: weights that the base's checkpoint did not have.

    Returns:
        The model, in evaluation mode, and those of `headless` that the adapter did not bring either.

    Raises:
        NysformerError: peft is not installed; an adapter that is damaged, not finite, or does not fit or merge.
    """
    if find_spec("peft") is None:
        raise NysformerError(
            f"{folder}: holds an adapter, which needs peft: run `pip install 'nysformer[adapters]'`, or save it merged"
        )
    import peft

    names = model.config.num_labels
    for key, shape in stored_shapes(folder).items():
        if key.endswith((".classifier.out_proj.weight", ".classifier.weight")) and shape[0] not in (1, names):
            raise NysformerError(
                f"{folder}: the adapter's head has {shape[0]} labels and {_name(model)} names {names}; save a "
                "config.json with its id2label beside the adapter: model.config.save_pretrained(folder)"
            )
    try:
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            adapted = peft.PeftModel.from_pretrained(model, str(folder))
            lacking = [each for each in said if "missing adapter keys" in str(each.message)]
            if lacking:
                raise NysformerError(f"{folder}: the adapter's weights are not whole; copy or train it again")
            brought = set(peft.utils.get_peft_model_state_dict(adapted))
            merged = adapted.merge_and_unload()
    except NysformerError:
        raise
    except Exception as error:  # each kind of adapter has its own
        raise NysformerError(f"{folder}: its adapter does not fit {_name(model)} ({one_line(error)})") from error
    if not isinstance(merged, NystromformerPreTrainedModel):
        raise NysformerError(f"{folder}: its adapter cannot be merged; train one of another kind, such as LoRA")
    check_finite_model(merged, str(folder))
    left = {key for key in headless if not any(name.endswith(f".{key}") for name in brought)}
    return merged.eval(), left


def _settings(folder: Path) -> dict[str, Any]:
    try:
        return read_json(folder / ADAPTER)
    except NysformerError as error:
        raise NysformerError(f"{folder / ADAPTER}: {error}; copy the adapter again") from error


def _name(model: NystromformerPreTrainedModel) -> str:
    return model.config.name_or_path or type(model).__name__
