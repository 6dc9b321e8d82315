"""Every recipe that is shipped can be run: its fields are real options, its data set and its metric exist."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from benchmarks.recipes.recipe import load_recipe, recipe_paths
from benchmarks.recipes.registry import DATA_SETS
from nysformer.cli.options import flags_of
from nysformer.errors import NysformerError
from nysformer.tasks.registry import TASKS

FOLDER = Path(__file__).parents[3] / "recipes"
PATHS = recipe_paths(FOLDER)


@pytest.mark.parametrize("path", PATHS, ids=[path.stem for path in PATHS])
def test_a_recipe_is_made_of_real_options(path: Path, tmp_path: Path) -> None:
    recipe = load_recipe(path)
    encoder, model = tmp_path / "encoder", tmp_path / "model"
    train = recipe.train_arguments(tmp_path, encoder, model)
    evaluate = recipe.evaluate_arguments(tmp_path, model, tmp_path / "metrics.json")
    assert train[0] == recipe.command
    flags = flags_of(recipe.options_class())
    given = {name for name, value in recipe.options.items() if value not in (None, False)}
    assert {flags[name] for name in given} <= set(train)
    assert train[train.index("--train") + 1] == str(tmp_path / "train.jsonl")
    assert evaluate[:2] == ["evaluate", str(tmp_path / "test.jsonl")]
    if recipe.command == "finetune":
        assert train[train.index("--task") + 1] == DATA_SETS[recipe.data].task
    assert recipe.options["time_limit"] <= 4  # a few minutes


def test_there_is_a_recipe_for_every_task() -> None:
    assert {DATA_SETS[load_recipe(path).data].task for path in PATHS} == set(TASKS)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"data": "nothing"}, "data: 'nothing' is not one of licences,"),
        ({"command": "serve"}, "command: 'serve' is not one of finetune"),
        ({"speed": 3}, "speed: is unknown; leave it out"),
        ({"baselines": []}, "baselines: .* is not a list of names"),
        ({"positions": True}, "positions: True is not a whole number"),
    ],
)
def test_what_is_no_recipe_is_refused(change: dict[str, Any], complaint: str, tmp_path: Path) -> None:
    content = yaml.safe_load(PATHS[0].read_text(encoding="utf-8"))
    path = tmp_path / "one.yaml"
    path.write_text(yaml.safe_dump(content | change), encoding="utf-8")
    with pytest.raises(NysformerError, match=complaint):
        load_recipe(path)


def test_a_missing_field_and_a_damaged_file_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "one.yaml"
    content = yaml.safe_load(PATHS[0].read_text(encoding="utf-8"))
    del content["metric"]
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    with pytest.raises(NysformerError, match=r"one.yaml: metric: is missing"):
        load_recipe(path)
    path.write_text("{", encoding="utf-8")
    with pytest.raises(NysformerError, match="cannot be read"):
        load_recipe(path)
    path.write_text("- 1", encoding="utf-8")
    with pytest.raises(NysformerError, match="no names with values"):
        load_recipe(path)
    with pytest.raises(NysformerError, match="no recipes there"):
        recipe_paths(tmp_path / "nowhere")


@pytest.mark.parametrize("part", ["options", "evaluation"])
def test_an_option_that_does_not_exist_is_one_line(part: str, tmp_path: Path) -> None:
    path = tmp_path / "one.yaml"
    content = yaml.safe_load(PATHS[0].read_text(encoding="utf-8"))
    content[part] = {**content[part], "colour": "red"}
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    recipe = load_recipe(path)
    arguments = recipe.train_arguments if part == "options" else recipe.evaluate_arguments
    with pytest.raises(NysformerError, match=f"one: {part}: .*colour.*--help"):
        arguments(tmp_path, tmp_path, tmp_path)
