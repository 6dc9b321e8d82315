"""Run recipes by the commands a user would type: data, encoder, training, and the test documents once."""

from __future__ import annotations

import json
import sys
import time
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.commands import execute, shell_line
from benchmarks.encoder import minilm
from benchmarks.output import say
from benchmarks.recipes.corpus import README
from benchmarks.recipes.recipe import Recipe, load_recipe, recipe_paths
from benchmarks.recipes.registry import DATA_SETS, baseline, prepare
from benchmarks.record import Record, check_folder, show_table, write_record
from benchmarks.registry import RECIPES
from nysformer import __version__
from nysformer.errors import NysformerError
from nysformer.files import cache

__all__ = ["OUTCOME", "best_baseline", "run_recipe", "run_recipes"]

OUTCOME = "outcome.json"
_FAILED = 1


def run_recipes(
    paths: Sequence[Path], *, data_dir: Path, runs_dir: Path, results: Path, seed: int = 0, again: bool = False
) -> int:
    """Run recipes one after another and keep the outcome of all that are finished; one that fails stops no other.

    Args:
        paths: of recipes; none for all in `recipes/`.
        data_dir: of the data sets, made if absent.
        runs_dir: of the converted encoder, and a folder per recipe: its model, the logs of its two commands, the
            metrics, the outcome.
        results: of the result file, which holds every finished recipe that lies in the folders of `paths`.
        seed: of the data sets' splits.
        again: run what is finished, too.

    Returns:
        The exit code: 1 where a recipe failed, else 0.

    Raises:
        NysformerError: there are no recipes, or the result file cannot be written.
    """
    check_folder(results)
    paths = list(paths) or recipe_paths()
    failed = []
    for path in paths:
        try:
            run_recipe(load_recipe(path), data_dir=data_dir, runs_dir=runs_dir, seed=seed, again=again)
        except NysformerError as error:
            failed.append(path.stem)
            print(f"nysformer: {error}", file=sys.stderr, flush=True)
        except Exception:  # whatever it is: the other recipes are run
            failed.append(path.stem)
            traceback.print_exc()
    kept = _finished([*dict.fromkeys(path.parent for path in paths)], data_dir, runs_dir, seed)
    if kept:
        rows = [outcome["row"] for outcome in kept.values()]
        show_table("Recipes: figures on the test documents", rows)
        notes = {name: outcome["notes"] for name, outcome in kept.items()}
        write_record(Record(RECIPES, "make recipes", rows, notes), results)
    if failed:
        print(f"nysformer: failed: {', '.join(failed)}", file=sys.stderr, flush=True)
    return _FAILED if failed else 0


def run_recipe(recipe: Recipe, *, data_dir: Path, runs_dir: Path, seed: int = 0, again: bool = False) -> dict[str, Any]:
    """Run one recipe, or give the outcome that is kept: `row` and `notes`, its parts of the result file.

    Args:
        data_dir, runs_dir, seed, again: as in `run_recipes`.

    Raises:
        NysformerError: no data, a baseline without such a figure, options that cannot be meant, or a command that
            failed, with its last line and its log.
    """
    started = time.perf_counter()
    corpus = prepare(recipe.data, data_dir, seed)
    beside = _figures(recipe, baseline(recipe.data, corpus)["figures"])
    folder = runs_dir / recipe.name
    known = cache.read_record(folder / OUTCOME, _key(recipe, data_dir, seed))
    if known is not None and not again:
        say(f"{recipe.name}: finished before; {_verdict(known['row'])}")
        return known
    encoder = minilm(runs_dir, recipe.positions)
    metrics_file, model = folder / "metrics.json", folder / "model"
    train = recipe.train_arguments(corpus.directory, encoder, model)
    evaluate = recipe.evaluate_arguments(corpus.directory, model, metrics_file)
    folder.mkdir(parents=True, exist_ok=True)
    for name in (OUTCOME, metrics_file.name):
        (folder / name).unlink(missing_ok=True)
    prepared = time.perf_counter()
    output = {}
    seconds = {"prepare_s": prepared - started}
    for what, arguments in (("train", train), ("evaluate", evaluate)):
        began = time.perf_counter()
        say(shell_line(arguments))
        output[what] = execute(recipe.name, arguments, folder / f"{what}.log")
        seconds[f"{what}_s"] = time.perf_counter() - began
    metrics = json.loads(metrics_file.read_text(encoding="utf-8"))
    best = best_baseline(recipe, beside)
    row = {
        "recipe": recipe.name,
        "task": DATA_SETS[recipe.data].task,
        "documents": metrics["documents"],
        "metric": recipe.metric,
        "figure": metrics[recipe.metric],
        "baseline": best,
        "baseline_figure": beside[best],
        "better": "yes" if recipe.beats(metrics[recipe.metric], beside[best]) else "no",
        **{name: round(value, 1) for name, value in seconds.items()},
    }
    notes = {
        "commands": [shell_line(train), shell_line(evaluate)],
        "output": output,
        "baselines": beside,
        "metrics": {key: value for key, value in metrics.items() if isinstance(value, int | float)},
        "max_length": metrics["max_length"],
        "reading": metrics["reading"],
        "source": corpus.readme["source"],
        "licence": corpus.readme["licence"],
    }
    say(f"{recipe.name}: {_verdict(row)}")
    return cache.write_record(folder / OUTCOME, _key(recipe, data_dir, seed), [], row=row, notes=notes)


def best_baseline(recipe: Recipe, figures: Mapping[str, float]) -> str:
    """The name of the baseline that is hardest to beat."""
    return min(figures, key=lambda name: figures[name] if recipe.lower_is_better else -figures[name])


def _finished(folders: Sequence[Path], data_dir: Path, runs_dir: Path, seed: int) -> dict[str, dict[str, Any]]:
    """The outcomes of all recipes in the folders that are finished as they stand."""
    kept = {}
    for path in [path for folder in folders for path in recipe_paths(folder)]:
        try:
            recipe = load_recipe(path)
        except NysformerError:
            continue  # was reported where it was to be run
        outcome = cache.read_record(runs_dir / recipe.name / OUTCOME, _key(recipe, data_dir, seed))
        if outcome is not None:
            kept[recipe.name] = outcome
    return kept


def _key(recipe: Recipe, data_dir: Path, seed: int) -> dict[str, Any]:
    """All that decides an outcome."""
    try:
        files = json.loads((data_dir / recipe.data / README).read_text(encoding="utf-8"))["files"]
    except (OSError, ValueError, KeyError):
        files = None
    return {"recipe": recipe.deciding(), "seed": seed, "data": files, "nysformer": __version__}


def _figures(recipe: Recipe, measured: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    """Each named baseline's figure of the recipe's metric."""
    found = {}
    for name in recipe.baselines:
        if recipe.metric not in measured.get(name, {}):
            having = [each for each in measured if recipe.metric in measured[each]]
            raise NysformerError(
                f"{recipe.name}: baselines: {name!r} has no {recipe.metric}; choose of {', '.join(having) or 'none'}"
            )
        found[name] = measured[name][recipe.metric]
    return found


def _verdict(row: Mapping[str, Any]) -> str:
    than = "better than" if row["better"] == "yes" else "not better than"
    return (
        f"{row['metric']} {row['figure']:.3f} on {row['documents']:,} test documents, {than} "
        f"{row['baseline']}: {row['baseline_figure']:.3f}"
    )
