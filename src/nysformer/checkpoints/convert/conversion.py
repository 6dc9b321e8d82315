"""The result of a conversion."""

from __future__ import annotations

import pickle
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NoReturn

from huggingface_hub.errors import StrictDataclassError
from safetensors import SafetensorError
from transformers import PreTrainedModel

from nysformer.errors import NysformerError
from nysformer.models.pretrained import NystromformerPreTrainedModel
from nysformer.ops import NystromSpec

__all__ = ["UNREADABLE", "Conversion", "parts", "refuse_pickle"]

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
class Conversion:
    """A converted model, and what it is to be compared with.

    Attributes:
        kind: what the source is.
        model: the result, in eval mode, in the dtype of the source.
        reference: the source, as transformers runs it.
        readable: tokens of the longest document that the reference reads.
        only_length: the one length the reference runs at; None for any up to `readable`.
        reference_specs: how each layer of the reference attends; None for softmax attention at every length.
        dropped: parts of the source that are not in the result.
    """

    kind: str
    model: NystromformerPreTrainedModel
    reference: PreTrainedModel
    readable: int
    reference_specs: tuple[NystromSpec | None, ...]
    only_length: int | None = None
    dropped: tuple[str, ...] = ()

    @property
    def exact_length(self) -> int:
        """Tokens up to which the result runs softmax attention: approximation begins after them."""
        length = self.model.config.exact_length
        assert length is not None, "a result has landmarks"
        return length

    def is_exact(self, tokens: int) -> bool:
        """Whether the result computes for that length what the reference does."""
        return all(
            _form(before, tokens) == _form(self.model.config.nystrom_spec(layer), tokens)
            for layer, before in enumerate(self.reference_specs)
        )


def _form(spec: NystromSpec | None, tokens: int) -> NystromSpec | None:
    """What a layer does with a document of that length; None for softmax attention."""
    return None if spec is None or spec.is_exact(tokens) else replace(spec, softmax_max_length=0)


def refuse_pickle(path: Path | None, name: str) -> NoReturn:
    """Raise the error of a source that has only pickled weights, or none."""
    if path is None:
        raise NysformerError(f"{name}: no weights (model.safetensors) in the folder; copy the checkpoint again")
    raise NysformerError(
        f"{path}: pickled weights, which can run code where they are read; if you trust the origin, give "
        "allow_pickle=True"
    )


def parts(keys: Iterable[str]) -> tuple[str, ...]:
    """The modules that those weights belong to, such as `model.pooler`."""
    return tuple(sorted({key.rpartition(".")[0] or key for key in keys}))
