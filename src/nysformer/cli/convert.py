"""`nysformer convert`: another encoder's checkpoint in, a model folder out."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from nysformer.checkpoints.options import ConversionOptions
from nysformer.cli.options import filled
from nysformer.cli.output import new_table
from nysformer.options import Text, option, option_class

__all__ = ["convert"]


@option_class
@dataclass(frozen=True, kw_only=True)
class ConvertOptions(ConversionOptions):
    """A conversion, and the tokenizer beside its result."""

    tokenizer: str | None = option(
        None, Text(), metavar="DIR|ID", show_default="the source's own", help="Tokenizer to save inside."
    )


@filled
def convert(
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE",
            help="Model folder or name on the Hugging Face hub (BERT, RoBERTa, XLM-RoBERTa, DistilBERT, ELECTRA, "
            "Nyströmformer), or a checkpoint file of the Nyströmformer authors' training code.",
        ),
    ],
    output: Annotated[Path, typer.Argument(metavar="OUTPUT", help="Model folder to write; it must not exist yet.")],
    *,
    options: ConvertOptions,
) -> None:
    """Turn another encoder into a Nyströmformer that reads longer documents.

    Source and result are run on a sample text before anything is written, and
    the largest difference of their outputs is printed, by length. Documents the
    source could read keep its numbers; longer ones are approximated through
    landmarks. A Nyströmformer that runs softmax attention gets its landmarks
    turned on. Pickled weights (.bin, .pt) are refused unless --allow-pickle.
    Exit code: 0, or 2 for wrong use, such as a model of another kind.

    Example: nysformer convert bert-base-uncased runs/bert-4096 --max-length 4096
    """
    from rich.console import Console

    from nysformer.checkpoints.convert.run import convert as run

    done = run(source, output, options, tokenizer=options.tokenizer)
    console = Console()

    def say(line: str) -> None:
        console.print(line, markup=False, highlight=False, soft_wrap=True)

    size = f"{done.max_position_embeddings:,} positions, {done.num_landmarks} landmarks ({done.landmarks})"
    say(f"{done.kind} to {done.architecture}, {size}")
    if done.dropped:
        say(f"dropped: {', '.join(done.dropped)}")
    table = new_table(console.width, "tokens", "attention", "largest difference to the source")
    for each in done.differences:
        table.add_row(f"{each.tokens:,}", "as the source" if each.exact else "approximated", f"{each.largest:.1e}")
    console.print(table)
    exact = [each.largest for each in done.differences if each.exact]
    if exact:
        say(f"largest difference where both compute the same: {max(exact):.1e}, relative to the largest output")
    if done.exact_length < done.max_position_embeddings:
        say(f"approximation begins at {done.exact_length + 1:,} tokens")
    else:
        say("no document is approximated: give --max-length for longer ones, or a smaller --softmax-max-length")
    say(f"written to {done.output}")
