"""Options of reading documents, the same for every command that reads them."""

from typing import Annotated, Literal

import typer

from nysformer.errors import NysformerError

__all__ = ["PANEL", "AllFiles", "Delimiter", "Encoding", "InputFormat", "LabelFrom", "separator"]

PANEL = "Documents"

Delimiter = Annotated[
    str | None,
    typer.Option(
        metavar="CHARACTER",
        help="Between the cells of CSV files, such as ';' or 'tab'. TSV has tabs always.",
        show_default="a comma",
        rich_help_panel=PANEL,
    ),
]
Encoding = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="Encoding of the files, such as cp1252 or utf-16.",
        show_default="UTF-8; HTML as the page says",
        rich_help_panel=PANEL,
    ),
]
LabelFrom = Annotated[
    Literal["top", "parent"],
    typer.Option(
        help="What labels a text file. top: the first folder below the source. parent: the folder it lies in.",
        rich_help_panel=PANEL,
    ),
]
AllFiles = Annotated[
    bool,
    typer.Option(
        "--all-files", help="In folders, read files of an unknown suffix, or of none, as text.", rich_help_panel=PANEL
    ),
]
InputFormat = Annotated[
    Literal["auto", "jsonl", "csv", "tsv", "parquet", "text", "html", "lines"],
    typer.Option(
        help="How to read files and standard input. auto: by suffix; a named file with another suffix is one text "
        "document, standard input is jsonl. text: the whole is one document. lines: one document per line.",
        rich_help_panel=PANEL,
    ),
]


def separator(delimiter: str | None) -> str | None:
    r"""The character that `--delimiter` means; a tab is hard to type, so "tab" and "\t" are one, too.

    Raises:
        NysformerError: it is empty or longer than a character.
    """
    if delimiter in ("tab", "\\t"):
        return "\t"
    if delimiter is not None and len(delimiter) != 1:
        raise NysformerError(f"--delimiter: {delimiter!r} is not one character; give one such as ';', or tab")
    return delimiter
