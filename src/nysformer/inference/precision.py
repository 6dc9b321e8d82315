"""The precisions that evaluation and prediction can be asked for, and the model in one of them."""

from typing import Literal, TypeVar, get_args

from nysformer.models import NystromformerPreTrainedModel, optimize

__all__ = ["PRECISIONS", "Precision", "fast_copy"]

Precision = Literal["float32", "bfloat16", "int8"]
PRECISIONS: tuple[Precision, ...] = get_args(Precision)

Model = TypeVar("Model", bound=NystromformerPreTrainedModel)


def fast_copy(model: Model, precision: Precision) -> Model:
    """A copy for inference on this CPU, see `optimize`; "int8" with bfloat16 around it where the processor has that."""
    return optimize(model, quantize="int8") if precision == "int8" else optimize(model, dtype=precision)
