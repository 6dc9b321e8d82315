import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nysformer.errors import NysformerError
from nysformer.training.options import FinetuneOptions


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"train": ()}, "no training documents"),
        ({"valid": ()}, "no validation documents"),
        ({"valid_share": 0.1}, "validation documents are given already"),
        ({"valid": (), "valid_share": 1.0}, "valid_share: 1.0"),
        ({"resume": True, "overwrite": True}, "exclude each other"),
        ({"epochs": 0}, "epochs: 0 is not above 0"),
        ({"time_limit": -1.0}, "time_limit: -1.0"),
        ({"learning_rate": float("nan")}, "learning_rate: nan"),
        ({"eval_steps": 0}, "eval_steps: 0"),
        ({"warmup_share": 1.0}, "warmup_share: 1.0"),
        ({"max_grad_norm": -1.0}, "max_grad_norm: -1.0 is below 0"),
        ({"task": "f1"}, "task: 'f1' is unknown; there is sequence-classification, token"),
        ({"eval_dtype": "float16"}, "eval_dtype: 'float16' is unknown; there is float32, bfloat16, int8"),
        ({"class_weights": "rare"}, "class_weights: 'rare' is unknown; there is sqrt, balanced"),
    ],
)
def test_what_cannot_be_meant_is_refused(
    options: Callable[..., FinetuneOptions], changes: dict[str, Any], words: str
) -> None:
    with pytest.raises(NysformerError, match=words):
        options(**changes)


def test_a_resumed_run_keeps_what_shapes_its_losses(options: Callable[..., FinetuneOptions]) -> None:
    before = json.loads(json.dumps(options().as_json()))
    options(resume=True, gradient_checkpointing=True).check_resumable(before)  # where memory ran out
    options(resume=True, epochs=9, time_limit=5.0, train=("the same files from elsewhere",)).check_resumable(before)
    for changes in ({"seed": 1}, {"tokens_per_batch": 7}, {"class_weights": "balanced"}, {"bf16": True}):
        with pytest.raises(NysformerError, match=f"{next(iter(changes))} is .*, but the run began with"):
            options(resume=True, **changes).check_resumable(before)


def test_every_option_is_described() -> None:
    assert FinetuneOptions.__doc__ is not None
    for field in dataclasses.fields(FinetuneOptions):
        assert f"    {field.name}: " in FinetuneOptions.__doc__


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"seed": 5_000_000_000}, "seed: 5000000000 is above 4,294,967,295; give a whole number from 0 to"),
        ({"epochs": float("inf")}, "epochs: inf is not finite"),
        ({"epochs": 2_000_000}, "epochs: 2000000 is above 1,000,000"),
        ({"max_steps": 2.5}, "max_steps: 2.5 is not a whole number"),
        ({"max_steps": True}, "max_steps: True is not a whole number"),
        ({"time_limit": float("nan")}, "time_limit: nan is not a number"),
        ({"learning_rate": float("inf")}, "learning_rate: inf is not finite"),
        ({"learning_rate": "5e-5"}, "learning_rate: '5e-5' is not a number"),
        ({"weight_decay": float("inf")}, "weight_decay: inf is not finite"),
        ({"max_grad_norm": float("nan")}, "max_grad_norm: nan is not a number"),
        ({"max_length": 1e12}, "max_length: 1000000000000.0 is not a whole number"),
        ({"max_length": 10**12}, r"max_length: 1000000000000 is above 2,147,483,647"),
        ({"tokens_per_batch": 0}, "tokens_per_batch: 0 is below 1"),
        ({"eval_per_epoch": 10**400}, "eval_per_epoch: 1000"),
        ({"early_stopping": 0}, "early_stopping: 0 is below 1"),
        ({"log_every": False}, "log_every: False is not a whole number"),
        ({"bf16": "yes"}, "bf16: 'yes' is neither True nor False"),
        ({"model": ""}, "model: the text is empty"),
        ({"output": None}, "output: None is not a text"),
        ({"train": (3,)}, "train: 3 is not a text"),
    ],
)
def test_values_out_of_range_are_named_with_their_range(
    options: Callable[..., FinetuneOptions], changes: dict[str, Any], words: str
) -> None:
    with pytest.raises(NysformerError, match=words) as caught:
        options(**changes)
    assert "\n" not in str(caught.value)


def test_paths_and_a_single_file_are_taken(options: Callable[..., FinetuneOptions], tmp_path: Path) -> None:
    given = options(model=tmp_path / "encoder", train="train.jsonl", output=tmp_path / "run", valid=[tmp_path / "v"])
    assert (given.train, given.valid) == (("train.jsonl",), (str(tmp_path / "v"),))
    json.dumps(given.as_json())
