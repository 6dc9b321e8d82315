"""`nysformer pretrain`: texts in, a model folder out."""

from typing import Annotated

import typer
from rich.console import Console

from nysformer.cli.options import Fixed, filled
from nysformer.cli.resuming import saying_how_to_go_on
from nysformer.cli.training import going_on, say_outcome
from nysformer.training.pretrain_options import PretrainOptions

__all__ = ["pretrain"]


@filled
def pretrain(
    ctx: typer.Context, *, options: Annotated[PretrainOptions, Fixed(label_column=None, label_from="top")]
) -> None:
    """Pretrain an encoder on texts without labels: it learns to predict masked words.

    With --size it begins with random weights, and its tokenizer is trained on
    the training documents or taken; with --model it goes on with a model and its
    tokenizer. Long documents are read in windows, so that all of a text is
    trained on. The run folder becomes a model folder for `nysformer finetune`,
    `nysformer predict` (the likeliest words behind each mask) and `nysformer
    evaluate`, with the same records and checkpoints as a fine-tuning. A killed
    run goes on with --resume and the same options; checkpoints are written at
    each evaluation, see --eval-steps.

    Exit code: 0 when the model is written, 2 for wrong use or documents or a full
    disk, 130 after Ctrl-C, which prints the command that goes on.

    Example: nysformer pretrain --size tiny --train texts/ --valid-share 0.05
    --vocab-size 8000 --time-limit 10 --output runs/tiny

    Example: nysformer pretrain --model encoder --train mails.jsonl --valid
    held-out.jsonl --whole-words --output runs/mails
    """
    from nysformer.training.pretrain import pretrain as run

    console = Console(stderr=True)
    with saying_how_to_go_on(going_on(ctx)):
        result = run(options, console=console)
    say_outcome(result, options.early_stopping, console)
