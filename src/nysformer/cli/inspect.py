"""`nysformer inspect`: a model folder in, what it holds and costs out."""

from pathlib import Path
from typing import Annotated

import typer

from nysformer.cli.output import new_table

__all__ = ["inspect"]


def inspect(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="Model folder of a Nyströmformer.")],
) -> None:
    """Tell what a model folder holds, how its attention runs, and what it costs.

    Parameters by part; positions and landmarks; arithmetic and memory of one
    document of 512, 4,096 and 65,536 tokens, by formula, in float32, without
    gradients; the files; and what is unusual, such as softmax attention at every
    length. No weight is loaded. Exit code: 0, or 2 for wrong use.

    Example: nysformer inspect runs/demo
    """
    from rich.console import Console
    from rich.filesize import decimal

    from nysformer.checkpoints.inspect import inspect as look

    found = look(model)
    console = Console()

    def say(line: str) -> None:
        console.print(line, markup=False, highlight=False, soft_wrap=True)

    say(f"{found.architecture}, {sum(found.parameters.values()):,} parameters, {found.dtype or 'pickled'}")
    exact = "every length" if found.exact_length is None else f"documents of at most {found.exact_length:,} tokens"
    kind = found.landmarks if found.landmarks == "segments" else f"clusters, {found.landmark_steps} steps"
    beyond = "" if found.exact_length is None else f", {found.num_landmarks:,} landmarks a head ({kind}) beyond"
    say(f"attention: {found.attention_mode}: softmax for {exact}{beyond}")
    for layer, values in found.layer_overrides.items():
        say(f"layer {layer}: {', '.join(f'{name} {value}' for name, value in sorted(values.items()))}")
    say(f"convolution: {'none' if found.conv_kernel_size is None else f'{found.conv_kernel_size} taps'}")
    say(f"positions: {'none, any length' if found.positions is None else f'{found.positions:,} tokens'}")
    if found.pooling is not None:
        say(f"pooling of the head: {found.pooling}")
    parts = new_table(console.width, "part", "parameters")
    parts.columns[1].justify = "right"
    for name, number in found.parameters.items():
        parts.add_row(name, f"{number:,}")
    console.print(parts)
    costs = new_table(console.width, "tokens", "attention", "GFLOPs", "in attention", "activations", "")
    for cost in found.costs:
        past = "past the positions" if found.positions is not None and cost.tokens > found.positions else ""
        share = f"{cost.attention_share:.0%}"
        costs.add_row(f"{cost.tokens:,}", cost.attention, f"{cost.flops / 1e9:,.1f}", share, decimal(cost.memory), past)
    console.print(costs)
    files = new_table(console.width, "file", "size")
    for name, size in found.files:
        files.add_row(name, decimal(size))
    console.print(files)
    for warning in found.warnings:
        say(f"warning: {warning}")
