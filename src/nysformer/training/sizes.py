"""Sizes that a new model may have: those of BERT and of its published miniatures (Turc et al. 2019)."""

from dataclasses import dataclass
from typing import Literal, get_args

__all__ = ["SIZES", "SIZE_NAMES", "Size", "SizeName"]

SizeName = Literal["tiny", "mini", "small", "base"]
SIZE_NAMES: tuple[SizeName, ...] = get_args(SizeName)

_HEAD = 64


@dataclass(frozen=True, slots=True)
class Size:
    """What follows from a size.

    Attributes:
        layers: of the encoder.
        width: of a hidden state.
        learning_rate: highest rate that such a model is trained with from random weights.

    Example:
        >>> SIZES["base"].heads, SIZES["base"].inner
        (12, 3072)
    """

    layers: int
    width: int
    learning_rate: float

    @property
    def heads(self) -> int:
        """Of 64 dimensions each."""
        return self.width // _HEAD

    @property
    def inner(self) -> int:
        """Width of the feed-forward layers."""
        return 4 * self.width


SIZES: dict[SizeName, Size] = {
    "tiny": Size(2, 128, 1e-3),
    "mini": Size(4, 256, 5e-4),
    "small": Size(4, 512, 5e-4),
    "base": Size(12, 768, 1e-4),
}
