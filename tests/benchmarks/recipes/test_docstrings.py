"""Every example in a docstring of the recipes runs, and prints what it says."""

import doctest
from importlib import import_module
from pathlib import Path

import pytest

import benchmarks.recipes as recipes

FOLDER = Path(recipes.__path__[0])
MODULES = sorted(
    ".".join(("benchmarks.recipes", *path.relative_to(FOLDER).with_suffix("").parts))
    for path in FOLDER.rglob("*.py")
    if not path.name.startswith("__")
)


@pytest.mark.parametrize("name", MODULES)
def test_examples(name: str) -> None:
    failures, _ = doctest.testmod(import_module(name), optionflags=doctest.NORMALIZE_WHITESPACE)
    assert failures == 0, "see the captured output"
