"""Every plan that is shipped can be run; what cannot be meant is refused before anything is."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchmarks.folds.plan import load_plan
from nysformer.errors import NysformerError

PATHS = sorted((Path(__file__).parents[3] / "folds").glob("*.yaml"))


@pytest.mark.parametrize("path", PATHS, ids=[path.stem for path in PATHS])
def test_a_plan_is_made_of_real_options(path: Path, tmp_path: Path) -> None:
    plan = load_plan(path)
    for system in plan.systems:
        files = {name: tmp_path / name for name in ("model", "train", "valid", "output")}
        arguments = system.train_arguments(**files, seed=3, resume=True)
        assert arguments[0] == "finetune"
        assert {"--resume", "--seed"} <= set(arguments)
        assert {"--time-limit", "--max-steps"} & set(arguments), "a training has an end"
    assert plan.bars


def test_there_is_a_plan_for_each_make_target() -> None:
    assert [path.stem for path in PATHS] == ["genres", "licences", "news"]


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"data": ["brown-tags"]}, r"data: \['brown-tags'\] is not a list of some of licences,"),
        ({"folds": 1}, "folds: 1 is not a whole number above 1"),
        ({"seeds": [1, 1]}, "seeds: .* is not a list of different whole numbers"),
        ({"speed": 1}, "speed: is unknown; leave it out"),
        ({"systems": {"a/b": {"options": {}, "evaluations": {"all": {}}}}}, "'a/b' is no name; use letters"),
        ({"systems": {"a": {"options": {"seed": 1}, "evaluations": {"all": {}}}}}, "a: options: seed: is filled in"),
        ({"systems": {"a": {"options": {"colour": 1}, "evaluations": {"all": {}}}}}, "a: options: .*colour"),
        ({"systems": {"a": {"options": {}, "evaluations": {"all": {"colour": 1}}}}}, "evaluations: all: .*colour"),
        ({"systems": {"a": {"options": {"epochs": -1}, "evaluations": {"all": {}}}}}, "a: epochs: -1 is not above 0"),
        ({"systems": {"a": {"options": {}, "encoder": {"x": 1}, "evaluations": {"all": {}}}}}, "encoder: x: is unkn"),
        ({"systems": {n: {"options": {}, "evaluations": {"all": {}}} for n in ("a b", "a-b")}}, "two have one folder"),
        ({"systems": {"a": {"options": {}, "evaluations": {"B": {}, "b": {}}}}}, "two have nearly one name"),
        ({"bars": [{"system": "tiny, windows", "metric": "accuracy"}]}, "bars: 1: give either at_least, a number, or"),
        ({"bars": [{"system": "tiny", "metric": "accuracy", "at_least": 1}]}, "bars: 1: there is no row 'tiny'"),
    ],
)
def test_what_cannot_be_meant_is_refused(
    change: dict[str, Any], complaint: str, write_plan: Callable[..., Path]
) -> None:
    with pytest.raises(NysformerError, match=complaint):
        load_plan(write_plan(**change))
