"""The options of a conversion, and its result."""

from __future__ import annotations

import pickle
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from huggingface_hub.errors import StrictDataclassError
from safetensors import SafetensorError
from transformers import PreTrainedModel

from nysformer.errors import NysformerError
from nysformer.models.pretrained import NystromformerPreTrainedModel
from nysformer.models.ranges import Flag, check_options, option, whole

__all__ = ["UNREADABLE", "Conversion", "ConversionOptions", "parts", "refuse_pickle"]

# Positions that a table may have: beyond, it would not fit into the memory of any machine this is for.
MOST_POSITIONS = 2**20
# What the readers of configuration, safetensors and pickled weights raise on bytes that are none.
UNREADABLE = (
    EOFError,
    KeyError,
    OSError,
    RuntimeError,
    SafetensorError,
    StrictDataclassError,
    TypeError,
    ValueError,
    pickle.UnpicklingError,
)


@dataclass(frozen=True, kw_only=True)
class ConversionOptions:
    """The options of a conversion; None for what the source says.

    Attributes:
        max_position_embeddings: tokens a document may have; the source's table is tiled up to there.
        num_landmarks: landmarks a head; 64 where the source has none.
        conv_kernel_size: odd; of a new convolution, which starts at zero. Sources with one keep theirs.
        softmax_max_length: up to how many tokens a document gets softmax attention.
        num_attention_heads: of the authors' checkpoints without convolution, which do not say.
        allow_pickle: read pickled weights too, by torch's reader that builds nothing but tensors.
    """

    max_position_embeddings: int | None = option(None, whole(1, MOST_POSITIONS))
    num_landmarks: int | None = option(None, whole(1, MOST_POSITIONS))
    conv_kernel_size: int | None = option(None, whole(1, MOST_POSITIONS))
    softmax_max_length: int | None = option(None, whole(0))
    num_attention_heads: int | None = option(None, whole(1, MOST_POSITIONS))
    allow_pickle: bool = option(False, Flag())

    def __post_init__(self) -> None:
        """Refuse values out of range.

        Raises:
            NysformerError: with the option, its value and the range it may have.
        """
        check_options(self)


@dataclass(frozen=True, kw_only=True)
class Conversion:
    """A converted model, and what it is to be compared with.

    Attributes:
        kind: what the source is.
        model: the result, in eval mode, in the dtype of the source.
        reference: the source, as transformers runs it.
        readable: tokens of the longest document that the reference reads.
        only_length: the one length the reference runs at; None for any up to `readable`.
        softmax_until: tokens up to which the reference runs softmax attention.
        landmarks: how many it approximates through beyond.
        dropped: parts of the source that are not in the result.
    """

    kind: str
    model: NystromformerPreTrainedModel
    reference: PreTrainedModel
    readable: int
    softmax_until: int
    only_length: int | None = None
    landmarks: int | None = None
    dropped: tuple[str, ...] = ()

    @property
    def exact_length(self) -> int:
        """Tokens up to which the result runs softmax attention: approximation begins after them."""
        config = self.model.config
        return max(config.num_landmarks, config.softmax_max_length)

    def is_exact(self, tokens: int) -> bool:
        """Whether the result computes for that length what the reference does."""
        if tokens > max(self.softmax_until, self.exact_length):
            return self.landmarks == self.model.config.num_landmarks
        return tokens <= min(self.softmax_until, self.exact_length)


def refuse_pickle(path: Path | None, name: str) -> NoReturn:
    """Raise the error of a source that has only pickled weights, or none."""
    if path is None:
        raise NysformerError(f"{name}: no weights (model.safetensors) in the folder; copy the checkpoint again")
    raise NysformerError(
        f"{path}: pickled weights, which can run code where they are read; if you trust the origin, add --allow-pickle"
    )


def parts(keys: Iterable[str]) -> tuple[str, ...]:
    """The modules that those weights belong to, such as `model.pooler`."""
    return tuple(sorted({key.rpartition(".")[0] or key for key in keys}))
