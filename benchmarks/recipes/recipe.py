"""A recipe: a data set, the options of a training, how it is evaluated, and what the figure stands beside."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from importlib import import_module
from pathlib import Path
from typing import Any

from benchmarks.commands import command_flags
from benchmarks.fields import Fields, read_fields
from benchmarks.recipes.registry import DATA_SETS
from nysformer.errors import NysformerError
from nysformer.inference.options import InferenceOptions

__all__ = ["COMMANDS", "RECIPES_DIR", "Recipe", "load_recipe", "recipe_paths"]

RECIPES_DIR = Path("recipes")

COMMANDS = {
    "finetune": "nysformer.training.options:FinetuneOptions",
    "pretrain": "nysformer.training.pretrain_options:PretrainOptions",
}
"""Command that trains -> module:dataclass of its options."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """One file of `recipes/`.

    Attributes:
        name: of the file, without its suffix.
        title: heading of the page.
        about: what is asked of which documents, a paragraph.
        remark: what the outcome teaches, a paragraph; may be empty.
        data: a key of `DATA_SETS`.
        positions: tokens that the encoder reads at most: the packaged MiniLM, converted to so many positions.
        command: a key of `COMMANDS`.
        options: of the training, as its command's dataclass names them; files, folders and the task are added.
        evaluation: fields of `InferenceOptions`.
        metric: of the task, on the test documents.
        lower_is_better: of `metric`.
        baselines: of the data set, that the figure stands beside.
    """

    name: str
    title: str
    about: str
    remark: str = ""
    data: str
    positions: int
    command: str
    options: Mapping[str, Any]
    evaluation: Mapping[str, Any]
    metric: str
    lower_is_better: bool = False
    baselines: tuple[str, ...]

    def options_class(self) -> type:
        """The dataclass of the training's options."""
        module, _, name = COMMANDS[self.command].partition(":")
        found: type = getattr(import_module(module), name)
        return found

    def train_arguments(self, data_dir: Path, encoder: Path, output: Path) -> list[str]:
        """What follows `nysformer` on the command line that trains.

        Raises:
            NysformerError: the options are not those of the command, or cannot be meant.
        """
        files: dict[str, Any] = {
            "model": str(encoder),
            "train": (str(data_dir / "train.jsonl"),),
            "valid": (str(data_dir / "valid.jsonl"),),
            "output": str(output),
            "overwrite": True,  # what a killed run left
        }
        cls = self.options_class()
        if any(each.name == "task" for each in fields(cls)):
            files["task"] = DATA_SETS[self.data].task
        try:
            cls(**files, **self.options)
        except TypeError as error:
            raise NysformerError(f"{self.name}: options: {error}; see `nysformer {self.command} --help`") from error
        return [self.command, *command_flags(cls, {**files, **self.options})]

    def evaluate_arguments(self, data_dir: Path, output: Path, metrics: Path) -> list[str]:
        """What follows `nysformer` on the command line that measures the test documents.

        Raises:
            NysformerError: `evaluation` has other fields than `InferenceOptions`, or values that cannot be meant.
        """
        try:
            InferenceOptions(**self.evaluation)
        except TypeError as error:
            raise NysformerError(f"{self.name}: evaluation: {error}; see `nysformer evaluate --help`") from error
        flags = command_flags(InferenceOptions, self.evaluation)
        return ["evaluate", str(data_dir / "test.jsonl"), "--model", str(output), "--output", str(metrics), *flags]

    def beats(self, figure: float, baseline: float) -> bool:
        """Whether a figure is better than a baseline's."""
        return figure < baseline if self.lower_is_better else figure > baseline

    def deciding(self) -> dict[str, Any]:
        """What decides the outcome: all but the prose."""
        prose = ("title", "about", "remark")
        kept = {each.name: getattr(self, each.name) for each in fields(self) if each.name not in prose}
        return {key: list(value) if isinstance(value, tuple) else value for key, value in kept.items()}


def recipe_paths(folder: Path = RECIPES_DIR) -> list[Path]:
    """The recipes of a folder, by name.

    Raises:
        NysformerError: there is none.
    """
    paths = sorted(folder.glob("*.yaml"))
    if not paths:
        raise NysformerError(f"{folder}: no recipes there; run this in the checkout's root")
    return paths


_FIELDS: Fields = {
    "title": ("a line of text", lambda value: isinstance(value, str)),
    "about": ("text", lambda value: isinstance(value, str)),
    "remark": ("text", lambda value: isinstance(value, str)),
    "data": (f"one of {', '.join(DATA_SETS)}", lambda value: value in DATA_SETS),
    "positions": ("a whole number", lambda value: type(value) is int and value > 0),
    "command": (f"one of {', '.join(COMMANDS)}", lambda value: value in COMMANDS),
    "options": ("names with values", lambda value: isinstance(value, dict)),
    "evaluation": ("names with values", lambda value: isinstance(value, dict)),
    "metric": ("a name", lambda value: isinstance(value, str)),
    "lower_is_better": ("true or false", lambda value: isinstance(value, bool)),
    "baselines": ("a list of names", lambda value: isinstance(value, list) and bool(value)),
}


def load_recipe(path: Path) -> Recipe:
    """Read and check one file of `recipes/`.

    Raises:
        NysformerError: it cannot be read, or a field is missing, unknown, or not what it has to be.
    """
    content = read_fields(path, _FIELDS, {"remark": "", "lower_is_better": False, "evaluation": {}})
    content["baselines"] = tuple(content["baselines"])
    return Recipe(name=path.stem, **content)
