"""`python -m benchmarks NAME`: run one benchmark, print its table, keep its figures; or print the table of all."""

import argparse
import sys
from pathlib import Path

from benchmarks.registry import BENCHMARKS, RESULTS, TABLE, run
from nysformer.errors import NysformerError


def main() -> None:
    """Parse and run; a user's mistake is one line on standard error and exit code 2."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("name", choices=[*BENCHMARKS, TABLE])
    parser.add_argument("--output", type=Path, default=RESULTS, help="folder of the result files")
    parser.add_argument("--rounds", type=int, help="turns per candidate; minima are kept")
    parser.add_argument("--lengths", type=int, nargs="+", help="tokens per document")
    parser.add_argument("--model", type=Path, help="model folder of the benchmark `accuracy`")
    arguments = vars(parser.parse_args())
    try:
        run(arguments.pop("name"), arguments.pop("output"), **arguments)
    except NysformerError as error:
        print(f"nysformer: {error}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
