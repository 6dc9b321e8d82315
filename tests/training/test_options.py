import dataclasses
import json
from collections.abc import Callable
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
        ({"best_metric": "f1"}, "best_metric: 'f1' is unknown; there is macro_f1, accuracy, loss"),
        ({"eval_dtype": "float16"}, "eval_dtype: 'float16' is unknown; there is float32, bfloat16, int8"),
        ({"class_weights": "rare"}, "class_weights: 'rare' is unknown; there is balanced"),
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
        assert f"        {field.name}: " in FinetuneOptions.__doc__
