"""`nysformer distill`: an encoder and texts in, an encoder that reads long documents faithfully out."""

from dataclasses import replace
from typing import Annotated

import typer
from rich.console import Console

from nysformer.cli.options import Fixed, filled
from nysformer.cli.resuming import saying_how_to_go_on
from nysformer.cli.training import going_on, say_outcome
from nysformer.training.distill_options import DistillOptions

__all__ = ["distill"]

_FIXED = Fixed(
    model="SOURCE",
    output="OUTPUT",
    label_column=None,
    label_from="top",
    reading="whole",
    overlap=0.0,
    train_windows=None,
)


@filled
def distill(
    ctx: typer.Context,
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE",
            help="Encoder to learn from: a folder that nysformer convert wrote, or a BERT that it reads. A folder, or "
            "a name on the Hugging Face hub.",
        ),
    ],
    output: Annotated[str, typer.Argument(metavar="OUTPUT", help="Run folder; it becomes a model folder.")],
    *,
    options: Annotated[DistillOptions, _FIXED],
) -> None:
    """Teach an encoder to read long documents through landmarks as by softmax attention.

    No labels are needed. Documents of at most as many tokens as the source reads
    keep its numbers exactly: what is trained are layers that only longer
    documents meet. Validation documents are compared with softmax attention over
    the whole of them: relative error and cosines of mean-pooled vectors. A killed
    run goes on with --resume and the same options.

    Exit code: 0 when the model is written, 2 for wrong use or documents or a full
    disk, 130 after Ctrl-C, which prints the command that goes on.

    Example: nysformer distill bert-base-uncased runs/long-bert --text texts/
    --time-limit 15
    """
    from nysformer.training.distill import distill as run

    console = Console(stderr=True)
    with saying_how_to_go_on(going_on(ctx)):
        result = run(replace(options, model=source, output=output), console=console)
    say_outcome(result, options.early_stopping, console)
