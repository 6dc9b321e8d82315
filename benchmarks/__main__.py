"""`python -m benchmarks NAME`: run one benchmark, print its table, keep its figures; or print the table of all."""

import argparse
import sys
from pathlib import Path

from benchmarks.registry import ARENA, BENCHMARKS, RESULTS, TABLE, run
from nysformer.errors import NysformerError

_HELP = """\
Measure speed, memory or exactness beside transformers, BERT and the limit.

forward        one document by length
train          a training step, time and memory
corpus         documents per second on licence texts
scaling        cost of a token by length
memory         peak memory of inference by length
products       matrix products by library
quality        distance from softmax attention, by layer
fidelity       distance from softmax attention, of document vectors
answers        a licence classifier's answers, beside softmax attention's
startup        import and help
accuracy       the demo's model in low precision
bags           NystromAttention on bags, beside its peer
parity         distance from transformers' numbers
compatibility  every way in and out; writes docs/compatibility.md
vectors        libraries for nearest vectors
retrieval      search among linked documents, beside TF-IDF
lra-listops    train and test on nested lists, as the Long Range Arena does
lra-image      the same on images as sequences of pixels
table          print Markdown made from the result files of all machines

Candidates take turns; minima count. Each benchmark prints its table, the bars it has to reach and one line of JSON,
and writes DIR/<date>-NAME-<machine>.json. Use a machine that does nothing else. The lra ones
have options of their own, which `lra-listops --help` shows.

Needs the extra: pip install 'nysformer[demo]'
Example: python -m benchmarks forward --lengths 512 4096 --rounds 3
"""


def main() -> None:
    """Parse and run; a user's mistake is one line on standard error and exit code 2."""
    if sys.argv[1:2] and sys.argv[1] in ARENA:
        sys.exit(_train(sys.argv[1], sys.argv[2:]))
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=_HELP, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("name", metavar="NAME", choices=[*BENCHMARKS, *ARENA, TABLE], help="a benchmark, or table")
    parser.add_argument("--output", metavar="DIR", type=Path, default=RESULTS, help="folder of the result files")
    parser.add_argument("--rounds", metavar="N", type=int, help="turns per candidate; minima are kept")
    parser.add_argument("--lengths", metavar="N", type=int, nargs="+", help="tokens per document")
    parser.add_argument(
        "--model",
        metavar="DIR",
        type=Path,
        help="the demo's folder, for accuracy; a distilled MiniLM, for fidelity; a licence classifier, for answers",
    )
    parser.add_argument("--vectors", metavar="FILE", type=Path, help="of `nysformer embed`, for vectors")
    arguments = vars(parser.parse_args())
    try:
        run(arguments.pop("name"), arguments.pop("output"), **arguments)
    except NysformerError as error:
        print(f"nysformer: {error}", file=sys.stderr)
        sys.exit(2)


def _train(name: str, arguments: list[str]) -> int:
    from benchmarks.lra.command import main as train

    try:
        return train(name, arguments)
    except NysformerError as error:
        print(f"nysformer: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("nysformer: interrupted; the same command goes on from the last checkpoint", file=sys.stderr)
        return 130


if __name__ == "__main__":
    main()
