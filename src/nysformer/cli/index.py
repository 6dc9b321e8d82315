"""`nysformer index`: a file of vectors in, a folder out that is searched faster."""

from pathlib import Path
from typing import Annotated

import typer

from nysformer.cli.progress import counted_progress

__all__ = ["index"]


def index(
    vectors: Annotated[Path, typer.Argument(metavar="FILE", help="Vectors that `nysformer embed` wrote.")],
    output: Annotated[
        Path, typer.Option(metavar="FOLDER", help="Folder to make; nothing may stand there. Whole or not at all.")
    ],
) -> None:
    """Build an index for millions of vectors, which `nysformer search` then maps.

    Below some hundred thousand vectors no index is needed: search compares all
    of them in milliseconds, and misses none. The folder holds all that a search
    needs, the vectors as float16. Exit code: 0, or 2 for wrong use.

    Example: nysformer index passages.parquet --output passages.index
    """
    from nysformer.inference.vector_index import build_index

    with counted_progress("vectors") as on_progress:
        build_index(vectors, output, on_progress=on_progress)
