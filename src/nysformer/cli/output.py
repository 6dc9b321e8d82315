"""What the commands that answer documents share: where they may write, and what they say on standard error."""

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from nysformer.errors import NysformerError

if TYPE_CHECKING:
    from rich.table import Table

__all__ = ["UnknownCount", "check_outputs", "new_table", "say_unknown"]

_STDIN = Path("/dev/stdin")
_FRAMED_WIDTH = 80


def check_outputs(outputs: Iterable[Path | None], sources: Iterable[str], model: Path) -> None:
    """Check every file to write before anything is read or loaded.

    Args:
        outputs: files; None is left out.
        sources: what is read; "-" is standard input.
        model: the model's folder.

    Raises:
        NysformerError: see `nysformer.files.atomic.check_output`; two outputs are one file.
    """
    from nysformer.checkpoints.load import TOKENIZERS, WEIGHTS
    from nysformer.files.atomic import check_output

    read = [*(Path(source) for source in sources if source != "-")]
    read += [model / name for name in ("config.json", *WEIGHTS, *TOKENIZERS)]
    read += [_STDIN] if _STDIN.is_file() else []  # redirected from a file
    seen: set[Path] = set()
    for output in outputs:
        if output is None:
            continue
        place = check_output(output, read)
        if place in seen and (place.is_file() or not place.exists()):
            raise NysformerError(f"{output}: named for two outputs; name two files")
        seen.add(place)


def new_table(width: int, *columns: str) -> "Table":
    """A table for a terminal of that many columns: without lines where it is narrow, and never with a cell cut off."""
    from rich.table import Table

    narrow = width < _FRAMED_WIDTH
    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False) if narrow else Table()
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


class UnknownCount:
    """Counts documents of which more than half the tokens are unknown to the model's tokenizer."""

    def __init__(self) -> None:
        self._documents = 0
        self._first = ""

    def add(self, source: str, line: int | None) -> None:
        """Count one more."""
        from nysformer.data.records import shown

        source = shown(source)
        self._documents += 1
        self._first = self._first or (source if line is None else f"{source}:{line}")

    def report(self) -> None:
        """One line on standard error, if there are any."""
        if self._documents:
            say_unknown(self._documents, self._first)


def say_unknown(documents: int, first: str) -> None:
    """One line on standard error about documents whose answers say little."""
    are = "document is" if documents == 1 else "documents are"
    line = (
        f"warning: {documents:,} {are} mostly unknown to the model's tokenizer (first: {first}); the model cannot read "
        "them, so do not trust their labels"
    )
    print(line.encode("utf-8", "backslashreplace").decode(), file=sys.stderr)
