"""`python -m nysformer.bench NAME [--output FOLDER]`: run one benchmark, print its table, keep its figures."""

import argparse
from pathlib import Path

from nysformer.bench.parity import measure_parity
from nysformer.bench.record import write_record

BENCHMARKS = {"parity": measure_parity}


def main() -> None:
    """Parse, run, write."""
    parser = argparse.ArgumentParser(prog="python -m nysformer.bench", description=__doc__)
    parser.add_argument("name", choices=sorted(BENCHMARKS))
    parser.add_argument("--output", type=Path, default=Path("benchmarks/results"), help="folder of the result files")
    arguments = parser.parse_args()
    write_record(BENCHMARKS[arguments.name](), arguments.output)


if __name__ == "__main__":
    main()
