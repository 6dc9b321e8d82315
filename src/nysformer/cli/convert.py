"""`nysformer convert`: another encoder's checkpoint in, a model folder out."""

from pathlib import Path
from typing import Annotated

import typer

from nysformer.cli.output import new_table

__all__ = ["convert"]


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
    max_length: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=100_000_000,
            metavar="TOKENS",
            help="Longest document the result reads: the source's positions are tiled up to there.",
            show_default="the source's own",
        ),
    ] = None,
    landmarks: Annotated[
        int | None,
        typer.Option(
            min=1, max=1_000_000, metavar="N", help="Landmarks a head.", show_default="the source's own, else 64"
        ),
    ] = None,
    softmax_max_length: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=2**31 - 1,
            metavar="TOKENS",
            help="Documents up to there keep softmax attention, and with it the source's numbers.",
            show_default="all that the source reads; 0 for a Nyströmformer",
        ),
    ] = None,
    conv_kernel: Annotated[
        int | None,
        typer.Option(min=1, max=1_000_001, metavar="K", help="Add a convolution of K (odd) taps, zero until trained."),
    ] = None,
    num_heads: Annotated[
        int | None,
        typer.Option(
            min=1, max=100_000, metavar="N", help="Attention heads, for an authors' checkpoint without convolution."
        ),
    ] = None,
    tokenizer: Annotated[
        str | None, typer.Option(metavar="DIR|ID", help="Tokenizer to save inside.", show_default="the source's own")
    ] = None,
    allow_pickle: Annotated[
        bool, typer.Option("--allow-pickle", help="Read pickled weights, too, by a reader that makes tensors only.")
    ] = False,
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

    from nysformer.checkpoints.convert.conversion import ConversionOptions
    from nysformer.checkpoints.convert.run import convert as run

    options = ConversionOptions(
        max_position_embeddings=max_length,
        num_landmarks=landmarks,
        conv_kernel_size=conv_kernel,
        softmax_max_length=softmax_max_length,
        num_attention_heads=num_heads,
        allow_pickle=allow_pickle,
    )
    done = run(source, output, options, tokenizer=tokenizer)
    console = Console()

    def say(line: str) -> None:
        console.print(line, markup=False, highlight=False, soft_wrap=True)

    size = f"{done.max_position_embeddings:,} positions, {done.num_landmarks} landmarks"
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
