"""`nysformer index`: a file of vectors in, a folder out that is searched faster."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from nysformer.cli.options import filled
from nysformer.cli.progress import counted_progress
from nysformer.options import Text, check_options, option_class, required

__all__ = ["index"]


@option_class
@dataclass(frozen=True, slots=True, kw_only=True)
class IndexOptions:
    """Where an index goes."""

    output: str = required(
        Text(), metavar="FOLDER", help="Folder to make; nothing may stand there. Whole or not at all."
    )

    def __post_init__(self) -> None:
        """Refuse what cannot be meant.

        Raises:
            NysformerError: with the field and its value.
        """
        check_options(self)


@filled
def index(
    vectors: Annotated[Path, typer.Argument(metavar="FILE", help="Vectors that `nysformer embed` wrote.")],
    *,
    options: IndexOptions,
) -> None:
    """Build an index for millions of vectors, which `nysformer search` then maps.

    Below some hundred thousand vectors no index is needed: search compares all
    of them in milliseconds, and misses none. The folder holds all that a search
    needs, the vectors as float16. Exit code: 0, or 2 for wrong use.

    Example: nysformer index passages.parquet --output passages.index
    """
    from nysformer.inference.vector_index import build_index

    with counted_progress("vectors") as on_progress:
        build_index(vectors, Path(options.output), on_progress=on_progress)
