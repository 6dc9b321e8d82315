"""`nysformer search`: a query in, the nearest documents or passages out."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from nysformer.errors import NysformerError

if TYPE_CHECKING:
    from nysformer.inference.search import Hit

__all__ = ["search"]

_SHOWN = 600


def search(
    model: Annotated[Path, typer.Option(metavar="DIR", help="The model folder that embedded the index.")],
    index: Annotated[
        Path,
        typer.Option(metavar="FILE|FOLDER", help="Vectors that `nysformer embed` wrote, or an index made of them."),
    ],
    query: Annotated[
        str | None,
        typer.Argument(
            metavar="QUERY",
            help="What to look for: a few words or a whole text. - for standard input, which is also read where none "
            "is given.",
            show_default=False,
        ),
    ] = None,
    top: Annotated[int, typer.Option(min=1, metavar="K", help="Answers to show.")] = 10,
    per: Annotated[
        Literal["passage", "document"],
        typer.Option(help="Every passage is an answer of its own, or only the best one of each document."),
    ] = "passage",
    as_json: Annotated[bool, typer.Option("--json", help="Print a line of JSON per answer.")] = False,
    dtype: Annotated[
        Literal["float32", "bfloat16", "int8"],
        typer.Option(help="Of weights and arithmetic; int8 is for the CPU, with bfloat16 where the processor has it."),
    ] = "float32",
    device: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="cpu, cuda, cuda:1, mps.", show_default="the first GPU, else the CPU"),
    ] = None,
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
    open_index(index)  # before a model is loaded
    searcher = Searcher.from_pretrained(index, model, dtype=dtype, device=device)
    hits = searcher.search(query, top=top, per=per)
    if as_json:
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
