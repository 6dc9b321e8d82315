"""`nysformer finetune`: labelled documents in, a model folder out."""

from collections.abc import Iterable, Iterator
from typing import Annotated, Any, Literal

import typer
from rich.console import Console
from typer.core import TyperCommand

from nysformer.cli.reading import AllFiles, Delimiter, Encoding, LabelFrom, separator
from nysformer.cli.resuming import resume_command, saying_how_to_go_on
from nysformer.errors import NysformerError

__all__ = ["FilesCommand", "finetune"]

_TYPED = "nysformer.typed"
_DATA, _MODEL, _TRAINING, _CHOICE = "Documents", "Model and output", "Training", "Evaluation and choice of the model"


class FilesCommand(TyperCommand):
    """A command without arguments, where several files may follow --train and --valid, as a shell's `*` gives them.

    The command line as it was typed stands in the context's `meta`.
    """

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        ctx.meta[_TYPED] = list(args)
        return super().parse_args(ctx, list(_spread(args)))


def _spread(args: Iterable[str]) -> Iterator[str]:
    """`--train a b` as `--train a --train b`."""
    option, first = "", False
    for arg in args:
        if arg.startswith("-"):
            option, first = arg if arg in ("--train", "--valid") else "", True
        elif option and not first:
            yield option
        else:
            first = False
        yield arg


def finetune(
    ctx: typer.Context,
    model: Annotated[
        str,
        typer.Option(
            metavar="DIR|ID",
            help="Nyströmformer to begin with: a folder with its tokenizer, or a name on the Hugging Face hub.",
            rich_help_panel=_MODEL,
        ),
    ],
    train: Annotated[
        list[str],
        typer.Option(
            metavar="FILE...",
            help="Labelled documents to train on: JSON Lines, CSV, TSV, Parquet (.gz too); text files, labelled by the "
            "folder they lie in; folders of such.",
            rich_help_panel=_DATA,
        ),
    ],
    output: Annotated[
        str, typer.Option(metavar="DIR", help="Run folder; it becomes a model folder.", rich_help_panel=_MODEL)
    ],
    task: Annotated[
        str,
        typer.Option(metavar="TASK", help="sequence-classification: a label a document.", rich_help_panel=_MODEL),
    ] = "sequence-classification",
    valid: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FILE...",
            help="Labelled documents to choose the best checkpoint by. This or --valid-share is needed.",
            show_default=False,
            rich_help_panel=_DATA,
        ),
    ] = None,
    valid_share: Annotated[
        float | None,
        typer.Option(
            metavar="SHARE",
            help="Hold out this share of the training documents instead, label by label.",
            show_default=False,
            rich_help_panel=_DATA,
        ),
    ] = None,
    group_column: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="With --valid-share: documents with one value in this column stay on one side.",
            show_default=False,
            rich_help_panel=_DATA,
        ),
    ] = None,
    group_near_duplicates: Annotated[
        bool,
        typer.Option(
            "--group-near-duplicates",
            help="With --valid-share: versions of one text stay on one side.",
            rich_help_panel=_DATA,
        ),
    ] = False,
    text_column: Annotated[
        str, typer.Option(metavar="NAME", help="Column with the text.", rich_help_panel=_DATA)
    ] = "text",
    label_column: Annotated[
        str, typer.Option(metavar="NAME", help="Column with the label.", rich_help_panel=_DATA)
    ] = "label",
    delimiter: Delimiter = None,
    encoding: Encoding = None,
    label_from: LabelFrom = "top",
    all_files: AllFiles = False,
    max_length: Annotated[
        int | None,
        typer.Option(
            metavar="TOKENS",
            help="The rest of a longer document is cut.",
            show_default="as many as the model has positions",
            rich_help_panel=_DATA,
        ),
    ] = None,
    tokens_per_batch: Annotated[
        int,
        typer.Option(
            metavar="TOKENS",
            help="Real tokens a step; a longer document rides alone. Padding is free.",
            rich_help_panel=_TRAINING,
        ),
    ] = 8192,
    epochs: Annotated[
        float | None,
        typer.Option(
            metavar="NUMBER",
            help="Passes over the training documents; fractions count.",
            show_default="3, unless --max-steps is given",
            rich_help_panel=_TRAINING,
        ),
    ] = None,
    max_steps: Annotated[
        int | None,
        typer.Option(
            metavar="NUMBER",
            help="Steps; the earliest of this, --epochs and --time-limit ends the run.",
            show_default=False,
            rich_help_panel=_TRAINING,
        ),
    ] = None,
    time_limit: Annotated[
        float | None,
        typer.Option(
            metavar="MINUTES",
            help="Stop then, evaluate and save; the learning rate falls in time for it.",
            show_default=False,
            rich_help_panel=_TRAINING,
        ),
    ] = None,
    learning_rate: Annotated[
        float, typer.Option(metavar="RATE", help="Highest rate, of AdamW.", rich_help_panel=_TRAINING)
    ] = 5e-5,
    weight_decay: Annotated[
        float, typer.Option(metavar="NUMBER", help="Of all but biases and norms.", rich_help_panel=_TRAINING)
    ] = 0.01,
    warmup_share: Annotated[
        float,
        typer.Option(
            metavar="SHARE",
            help="Share of the run in which the rate rises; then it falls, both linearly.",
            rich_help_panel=_TRAINING,
        ),
    ] = 0.1,
    max_grad_norm: Annotated[
        float, typer.Option(metavar="NORM", help="Clip gradients to this norm; 0: never.", rich_help_panel=_TRAINING)
    ] = 1.0,
    class_weights: Annotated[
        Literal["none", "balanced"],
        typer.Option(help="balanced: rare labels weigh more in the loss.", rich_help_panel=_TRAINING),
    ] = "none",
    bf16: Annotated[
        bool, typer.Option("--bf16", help="bfloat16 autocast, on a CPU too.", rich_help_panel=_TRAINING)
    ] = False,
    gradient_checkpointing: Annotated[
        bool,
        typer.Option(
            "--gradient-checkpointing",
            help="Run each layer again in the backward pass: about half the memory, longer steps.",
            rich_help_panel=_TRAINING,
        ),
    ] = False,
    seed: Annotated[
        int,
        typer.Option(
            metavar="NUMBER", help="Of new head, order, dropout and held-out share.", rich_help_panel=_TRAINING
        ),
    ] = 0,
    eval_per_epoch: Annotated[
        int,
        typer.Option(metavar="NUMBER", help="Evaluations, and checkpoints, an epoch.", rich_help_panel=_CHOICE),
    ] = 1,
    eval_steps: Annotated[
        int | None,
        typer.Option(
            metavar="STEPS", help="Evaluate every so many steps instead.", show_default=False, rich_help_panel=_CHOICE
        ),
    ] = None,
    best_metric: Annotated[
        Literal["macro_f1", "accuracy", "loss"],
        typer.Option(help="The best checkpoint by this becomes the model.", rich_help_panel=_CHOICE),
    ] = "macro_f1",
    eval_dtype: Annotated[
        Literal["float32", "bfloat16", "int8"] | None,
        typer.Option(
            help="Evaluate a copy made fast for this processor, in that precision.",
            show_default="as it trains",
            rich_help_panel=_CHOICE,
        ),
    ] = None,
    early_stopping: Annotated[
        int | None,
        typer.Option(
            metavar="NUMBER",
            help="End the run after this many evaluations in a row without a better one.",
            show_default="never",
            rich_help_panel=_CHOICE,
        ),
    ] = None,
    log_every: Annotated[
        int,
        typer.Option(metavar="STEPS", help="Between two entries of the training curve.", rich_help_panel=_CHOICE),
    ] = 10,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume",
            help="Go on with the run in --output at its last checkpoint, with the losses it would have had.",
            rich_help_panel=_MODEL,
        ),
    ] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace an earlier run in --output.", rich_help_panel=_MODEL)
    ] = False,
) -> None:
    """Fine-tune an encoder to classify whole documents.

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
    if task != "sequence-classification":
        raise NysformerError(f"--task: there is no task {task!r} here; there is sequence-classification")
    try:
        from nysformer.training.finetune import finetune as run
        from nysformer.training.options import FinetuneOptions
    except ModuleNotFoundError as error:
        if str(error.name).startswith("nysformer"):
            raise
        raise NysformerError(f"fine-tuning needs {error.name}; pip install 'nysformer[train]'") from error

    console = Console(stderr=True)
    options = FinetuneOptions(
        model=model,
        train=tuple(train),
        valid=tuple(valid or ()),
        output=output,
        valid_share=valid_share,
        group_column=group_column,
        group_near_duplicates=group_near_duplicates,
        text_column=text_column,
        label_column=label_column,
        delimiter=separator(delimiter),
        encoding=encoding,
        label_from=label_from,
        all_files=all_files,
        max_length=max_length,
        tokens_per_batch=tokens_per_batch,
        epochs=epochs,
        max_steps=max_steps,
        time_limit=time_limit,
        learning_rate=learning_rate,
        weight_decay=weight_decay,
        warmup_share=warmup_share,
        max_grad_norm=max_grad_norm,
        class_weights=None if class_weights == "none" else class_weights,
        bf16=bf16,
        gradient_checkpointing=gradient_checkpointing,
        eval_dtype=eval_dtype,
        seed=seed,
        eval_per_epoch=eval_per_epoch,
        eval_steps=eval_steps,
        best_metric=best_metric,
        early_stopping=early_stopping,
        log_every=log_every,
        resume=resume,
        overwrite=overwrite,
    )
    with saying_how_to_go_on(resume_command("finetune", ctx.meta[_TYPED])):
        result = run(options, console=console)
    end = {
        "time": "at the time limit",
        "early_stopping": f"early, {early_stopping} evaluations after the best one,",
        "steps": "at the last step",
    }[result.stopped_by]
    console.print(
        f"stopped {end} after {result.steps:,} steps, {result.tokens:,} tokens, {result.seconds:,.0f} s; "
        f"best checkpoint: step {result.best_step:,}",
        highlight=False,
        soft_wrap=True,
    )
    metrics = result.metrics
    print(f"accuracy {metrics['accuracy']:.3f}  macro-F1 {metrics['macro_f1']:.3f}  loss {metrics['loss']:.3f}")
    print(f"model: {result.output}")
