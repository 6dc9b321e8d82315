"""`nysformer bench`: what it costs on this machine, beside its peers."""

from pathlib import Path
from typing import Annotated

import typer

from nysformer.bench.registry import BENCHMARKS, RESULTS, TABLE

__all__ = ["bench"]


def bench(
    name: Annotated[str, typer.Argument(metavar="NAME", help=f"{', '.join(BENCHMARKS)}; or {TABLE}.")],
    output: Annotated[Path, typer.Option(metavar="DIR", help="Folder of the result files.")] = RESULTS,
    rounds: Annotated[
        int | None,
        typer.Option(min=1, help="Turns per candidate; the least time counts.", show_default="the benchmark's own"),
    ] = None,
    lengths: Annotated[
        str | None,
        typer.Option(metavar="N,N,...", help="Tokens per document.", show_default="the benchmark's own"),
    ] = None,
    model: Annotated[
        Path | None, typer.Option(metavar="DIR", help="The demo's folder, for accuracy.", show_default="runs/demo")
    ] = None,
) -> None:
    """Measure speed, memory or exactness beside transformers, BERT and the limit.

    forward: one document by length. train: a step, time and memory. corpus:
    documents per second on licence texts. scaling: cost of a token by length.
    memory: inference by length. products: matrix products by library. quality:
    distance from softmax attention. startup: import and help. accuracy: the
    demo's model in low precision. parity: distance from transformers' numbers.
    Candidates take turns; minima count. Each prints its table, the bars it has to
    reach and one line of JSON, and writes DIR/<date>-NAME-<machine>.json. table:
    prints Markdown made from those files, of all machines. Use a machine that
    does nothing else.

    Needs the extra: pip install 'nysformer\\[demo]'

    Example: nysformer bench forward --lengths 512,4096 --rounds 3
    """
    from nysformer.bench.registry import run
    from nysformer.data.atomic import check_parent
    from nysformer.errors import NysformerError

    if name != TABLE:
        check_parent(output / name, exists=False)
    try:
        tokens = None if lengths is None else [int(length) for length in lengths.split(",")]
    except ValueError:
        raise NysformerError(f"--lengths {lengths}: give whole numbers with commas between, such as 512,4096") from None
    run(name, output, rounds=rounds, lengths=tokens, model=model)
