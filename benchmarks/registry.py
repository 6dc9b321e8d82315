"""The benchmarks by name, and the one way to run them."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

from nysformer.errors import NysformerError

__all__ = ["ARENA", "BASELINES", "BENCHMARKS", "DEMO", "FOLDS", "RECIPES", "RESULTS", "TABLE", "run"]

# name -> function of the module of that name: only what runs is imported.
BENCHMARKS = {
    "parity": "measure_parity",
    "forward": "measure_forward",
    "train": "measure_train",
    "products": "measure_products",
    "corpus": "measure_corpus",
    "scaling": "measure_scaling",
    "memory": "measure_memory",
    "quality": "measure_quality",
    "fidelity": "measure_fidelity",
    "answers": "measure_answers",
    "startup": "measure_startup",
    "accuracy": "measure_accuracy",
    "bags": "measure_bags",
    "compatibility": "measure_compatibility",
    "vectors": "measure_vectors",
    "retrieval": "measure_retrieval",
}
TABLE = "table"
# Names of result files that other commands write: the demo, `python -m benchmarks.recipes` and `benchmarks.folds`.
DEMO, BASELINES, RECIPES = "demo", "recipe-baselines", "recipes"
FOLDS = ("folds-licences", "folds-genres", "folds-news")
# Benchmarks that train a model on a task, with options of their own: `benchmarks.lra`.
ARENA = ("lra-listops", "lra-image")
RESULTS = Path("benchmarks/results")


def run(name: str, folder: Path, **options: Any) -> None:
    """Run one benchmark and write its figures to `folder`; or print the table made of those that are there.

    Args:
        name: of `BENCHMARKS`, or "table".
        folder: of the result files.
        options: arguments of the benchmark; None for its own default.

    Raises:
        NysformerError: an unknown name, an option that the benchmark does not have, a package that is missing, or
            what the benchmark itself refuses.
    """
    given = {option: value for option, value in options.items() if value is not None}
    if name == TABLE:
        _check_options(name, given, [])
        from benchmarks.comparison import comparison_table
        from benchmarks.output import say

        say(comparison_table(folder))
        return
    if name not in BENCHMARKS:
        raise NysformerError(f"no benchmark {name!r}; choose one of {', '.join([*BENCHMARKS, TABLE])}")
    try:
        module = import_module(f"benchmarks.{name}")
    except ModuleNotFoundError as error:
        raise NysformerError(f"benchmark {name} needs {error.name}: run `pip install 'nysformer[demo]'`") from error
    measure: Callable[..., Any] = getattr(module, BENCHMARKS[name])
    _check_options(name, given, list(inspect.signature(measure).parameters))
    from benchmarks.record import check_folder, write_record

    check_folder(folder)
    write_record(measure(**given), folder)


def _check_options(name: str, given: dict[str, Any], known: list[str]) -> None:
    for option in given:
        if option not in known:
            raise NysformerError(f"benchmark {name} has no option --{option}; leave it out")
