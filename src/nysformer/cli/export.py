"""`nysformer export`: a model folder in, one program for another runtime out."""

from pathlib import Path
from typing import Annotated, Literal

import typer

__all__ = ["export"]


def export(
    model: Annotated[
        Path, typer.Argument(metavar="MODEL", help="Model folder: the encoder, or with one of the five heads.")
    ],
    output: Annotated[Path, typer.Argument(metavar="OUTPUT", help="Folder to write; it must not exist yet.")],
    format: Annotated[
        Literal["onnx", "torch-export"],
        typer.Option(help="onnx: model.onnx, for ONNX Runtime. torch-export: model.pt2, for torch.export.load."),
    ] = "onnx",
    token_types: Annotated[
        bool, typer.Option("--token-types", help="Let the program read token_type_ids, too; else they are 0.")
    ] = False,
) -> None:
    """Write a model as one program that needs neither nysformer nor transformers.

    It reads input_ids and attention_mask, (batch, tokens) int64, for any batch
    and length; padding does not change a document's numbers. Tokenizer and
    config.json are put beside it. The program is run and compared with the
    model, at lengths it was not traced at, before it is written.
    Exit code: 0, or 2 for wrong use, such as a folder that holds no model.

    Example: nysformer export runs/demo runs/demo-onnx --format onnx
    """
    from rich.console import Console

    from nysformer.checkpoints.export import export as run

    result = run(model, output, format=format, token_types=token_types)
    console = Console()
    console.print(f"{result.path}: {', '.join(result.inputs)} -> {', '.join(result.outputs)}", soft_wrap=True)
    if result.difference is None:
        console.print("not run: install onnxruntime to compare it with the model")
    else:
        lengths = ", ".join(f"{length:,}" for length in result.lengths)
        console.print(f"largest difference to the model at {lengths} tokens: {result.difference:.1e}")
