"""`nysformer search`: a query in, the nearest documents or passages out."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from nysformer.cli.options import Fixed, filled
from nysformer.errors import NysformerError
from nysformer.inference.options import InferenceOptions
from nysformer.options import Choice, Flag, Text, check_options, option, option_class, required, whole

if TYPE_CHECKING:
    from nysformer.inference.search import Hit

__all__ = ["search"]

_SHOWN = 600


@option_class
@dataclass(frozen=True, slots=True, kw_only=True)
class SearchOptions:
    """What is searched, and what is shown."""

    model: str = required(Text(), metavar="DIR", help="The model folder that embedded the index.")
    index: str = required(
        Text(), metavar="FILE|FOLDER", help="Vectors that `nysformer embed` wrote, or an index made of them."
    )
    top: int = option(10, whole(1), metavar="K", help="Answers to show.")
    per: Literal["passage", "document"] = option(
        "passage",
        Choice(("passage", "document")),
        help="Every passage is an answer of its own, or only the best one of each document.",
    )
    json: bool = option(False, Flag(), help="Print a line of JSON per answer.")

    def __post_init__(self) -> None:
        """Refuse what cannot be meant.

        Raises:
            NysformerError: with the field and its value.
        """
        check_options(self)


@filled
def search(
    query: Annotated[
        str | None,
        typer.Argument(
            metavar="QUERY",
            help="What to look for: a few words or a whole text. - for standard input, which is also read where none "
            "is given.",
            show_default=False,
        ),
    ] = None,
    *,
    options: SearchOptions,
    running: Annotated[InferenceOptions, Fixed(max_length=None, reading=None, overlap=None, tokens_per_batch=8192)],
) -> None:
    """Find the documents or passages that are nearest to a query in meaning.

    An answer has its score (the cosine of the two vectors), the place of its
    document, and the passage, if passages were embedded. With --json it also
    has the passage's characters (start, end), its whole text and the columns
    that were kept. Exit code: 0, or 2 for wrong use, such as an index that
    another model made.

    Example: nysformer search --model encoder --index passages.parquet "may be
    copied without a fee"

    Example: nysformer search --model encoder --index notes.index --json <
    letter.txt
    """
    from nysformer.inference.search import Searcher
    from nysformer.inference.vector_index import open_index

    if query is None or query == "-":
        if sys.stdin.isatty():
            raise NysformerError("no query: give one, or pipe a text into standard input")
        query = _standard_input()
    open_index(Path(options.index))  # before a model is loaded
    searcher = Searcher.from_pretrained(
        Path(options.index), Path(options.model), dtype=running.dtype, device=running.device
    )
    hits = searcher.search(query, top=options.top, per=options.per)
    if options.json:
        _print_json(hits)
    else:
        _show(hits)


def _standard_input() -> str:
    try:
        return sys.stdin.buffer.read().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise NysformerError("standard input is not UTF-8; convert the query") from error


def _print_json(hits: "list[Hit]") -> None:
    from nysformer.data.tables import row_writer

    out: Any = sys.stdout
    out.reconfigure(encoding="utf-8", errors="backslashreplace")  # whatever the locale
    with row_writer(out, "jsonl", {}) as write:
        for hit in hits:
            write(hit.to_dict())


def _show(hits: "list[Hit]") -> None:
    from rich.console import Console
    from rich.padding import Padding
    from rich.text import Text

    from nysformer.data.records import shown

    console = Console()
    for hit in hits:
        place = shown(hit.source) if hit.line is None else f"{shown(hit.source)}:{hit.line}"
        console.print(f"{hit.rank:>3}  {hit.score:.3f}  {place}", markup=False, highlight=False, soft_wrap=True)
        if hit.text is not None:
            text = " ".join(hit.text.split())
            console.print(Padding(Text(text if len(text) <= _SHOWN else f"{text[:_SHOWN]} ..."), (0, 0, 0, 5)))
