"""The page tells what was run, what it printed and which baselines stand, also where a recipe is behind."""

from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.recipes.page import task_page, write_page
from benchmarks.recipes.recipe import Recipe
from benchmarks.results import Result
from nysformer.errors import NysformerError

RECIPE = Recipe(
    name="toy",
    title="A number",
    about="How many?",
    remark="Few are enough.",
    data="sotu-year",
    positions=64,
    command="finetune",
    options={},
    evaluation={},
    metric="rmse",
    lower_is_better=True,
    baselines=("mean", "ridge"),
)
ROW = {
    "recipe": "toy",
    "task": "sequence-classification",
    "documents": 1234,
    "metric": "rmse",
    "figure": 12.5,
    "baseline": "ridge",
    "baseline_figure": 11.7,
    "better": "no",
    "prepare_s": 10.0,
    "train_s": 100.0,
    "evaluate_s": 10.0,
}
NOTES = {
    "commands": ["nysformer finetune " + " ".join(f"--option-{number} value" for number in range(9)), "nysformer b"],
    "output": {"train": "\nlosses \n", "evaluate": "RMSE"},
    "baselines": {"mean": 67.0, "ridge": 11.7},
    "source": "sotu 0.1.2",
    "licence": "MIT",
}
RESULT = Result(Path("x.json"), "recipes", "2026-01-02", None, {}, {}, {"toy": NOTES}, [ROW])


def test_the_page() -> None:
    page = task_page(RESULT, {"toy": RECIPE}, Path("runs"))
    assert "| [A number](#a-number) | sotu-year | rmse | 12.500 | 11.700 (ridge) | no | 1.8 |" in page
    assert "It does **not** beat ridge, on 1,234 test documents." in page
    assert "all of them in 2 minutes" in page
    assert "```text\nlosses\n```" in page
    assert page.index("| ridge | 11.700 |") < page.index("| mean | 67.000 |")
    assert "Few are enough." in page
    assert "value \\\n    --option-" in page
    assert max(len(line) for line in page.splitlines() if line.startswith(("nysformer", "    --"))) <= 100


def test_a_better_figure_is_said_to_be_better() -> None:
    better = replace(RESULT, rows=[{**ROW, "figure": 3.0, "better": "yes"}])
    assert "better than every baseline here" in task_page(better, {"toy": RECIPE}, Path("runs"))


def test_without_a_result_there_is_no_page(tmp_path: Path) -> None:
    with pytest.raises(NysformerError, match="no result of recipes"):
        write_page(tmp_path / "tasks.md", results=tmp_path, runs_dir=tmp_path)
    assert not (tmp_path / "tasks.md").exists()
