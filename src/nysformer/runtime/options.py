"""The precisions a model runs in. Apart from what runs it, so that options are read without torch."""

from typing import Literal, get_args

__all__ = ["PRECISIONS", "Precision"]

Precision = Literal["float32", "bfloat16", "int8"]
PRECISIONS: tuple[Precision, ...] = get_args(Precision)
