"""`nysformer finetune`: labelled documents in, a model folder out."""

import typer
from rich.console import Console

from nysformer.cli.options import filled
from nysformer.cli.resuming import saying_how_to_go_on
from nysformer.cli.training import going_on, say_outcome
from nysformer.training.options import FinetuneOptions

__all__ = ["finetune"]


@filled
def finetune(ctx: typer.Context, *, options: FinetuneOptions) -> None:
    """Fine-tune an encoder for a task on whole documents.

    The run folder becomes a model folder for `nysformer predict` and
    `nysformer evaluate`: weights, configuration with the label names,
    tokenizer. Beside them lie metrics.json (the validation documents at the
    best checkpoint), history.jsonl (the training curve), run.json (options,
    versions, documents, outcome), logs for TensorBoard, and checkpoints (the
    best and the last). A killed run goes on with --resume and the same options.
    Before it trains, the command prints the labels with their documents, and the
    files that were skipped. A model that has these labels already keeps its head.

    Exit code: 0 when the model is written, 2 for wrong use or documents or a full
    disk, 130 after Ctrl-C, which prints the command that goes on.

    Example: nysformer finetune --model encoder --train train.jsonl --valid
    valid.jsonl --output runs/mails --epochs 5 --class-weights balanced
    """
    from nysformer.training.finetune import finetune as run

    console = Console(stderr=True)
    with saying_how_to_go_on(going_on(ctx)):
        result = run(options, console=console)
    say_outcome(result, options.early_stopping, console)
