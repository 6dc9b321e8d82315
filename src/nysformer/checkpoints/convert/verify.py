"""A conversion run beside its source: the same text, the largest difference at each length."""

from __future__ import annotations

import copy
from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import PreTrainedModel

from nysformer.checkpoints.convert.conversion import Conversion
from nysformer.errors import NysformerError

__all__ = ["Difference", "verify"]

# Rounding of a dozen layers in float32 stays ten times below it; a weight in a wrong place is far above.
TOLERANCE = 1e-4
# Past this a comparison costs more than it tells: softmax attention is quadratic, and masked-LM logits are wide.
LONGEST = 2048


@dataclass(frozen=True)
class Difference:
    """The result beside its source on one document.

    Attributes:
        tokens: of the document.
        exact: both compute the same there; otherwise the result approximates.
        largest: the largest difference of their outputs, relative to the source's largest output.
    """

    tokens: int
    exact: bool
    largest: float


def verify(conversion: Conversion, input_ids: Tensor) -> list[Difference]:
    """Run source and result, in float32, on the beginnings of a text.

    Args:
        conversion: what to compare.
        input_ids: (N,) tokens of a text; repeated where the source reads more.

    Returns:
        A difference a length, shortest first: some where both compute the same, and some where the result
        approximates and the source can still read.

    Raises:
        NysformerError: a difference where there should be none but rounding.
    """
    reference, model = (_in_float32(each) for each in (conversion.reference, conversion.model))
    pad_token_id = conversion.model.config.pad_token_id
    if pad_token_id is not None:  # RoBERTa takes any padding token for a place that no position counts
        input_ids = input_ids[input_ids != pad_token_id]
    found = []
    for tokens in lengths(conversion):
        ids = input_ids.repeat(-(-tokens // len(input_ids)))[None, :tokens]
        if type(conversion.model).__name__.endswith("MultipleChoice"):
            ids = ids[:, None]
        with torch.no_grad():
            theirs, ours = (each(input_ids=ids, attention_mask=torch.ones_like(ids))[0] for each in (reference, model))
        largest = float((ours - theirs).abs().max() / theirs.abs().max())
        found.append(Difference(tokens=tokens, exact=conversion.is_exact(tokens), largest=largest))
    wrong = [each for each in found if each.exact and not each.largest <= TOLERANCE]
    if wrong:
        raise NysformerError(
            f"the converted model differs from its source by {wrong[0].largest:.1e} at {wrong[0].tokens} tokens, where "
            "both compute the same: the source is not what its configuration says; nothing was written"
        )
    return found


def lengths(conversion: Conversion) -> list[int]:
    """Where to compare: inside what is exact, at its end, and beyond as far as the source reads."""
    if conversion.only_length is not None:
        return [conversion.only_length]
    readable = min(conversion.readable, LONGEST)
    exact = min(conversion.exact_length, readable)
    return sorted({min(16, exact), max(1, exact // 2), exact, min(2 * exact, readable), readable})


def _in_float32(model: PreTrainedModel) -> PreTrainedModel:
    return model if model.dtype == torch.float32 else copy.deepcopy(model).float()
