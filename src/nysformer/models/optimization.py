"""One call that prepares a model for inference on this machine."""

from __future__ import annotations

import copy
from typing import Literal, TypeVar

import torch

from nysformer.errors import NysformerError
from nysformer.layers.fused import Int8Linear, PackedLinear, can_quantize, fuse_layer
from nysformer.models.encoder import NystromformerPreTrainedModel
from nysformer.ops import can_pack, pays_to_pack

__all__ = ["Precision", "optimize"]

Model = TypeVar("Model", bound=NystromformerPreTrainedModel)
Precision = Literal["auto", "float32", "bfloat16"]


def optimize(
    model: Model,
    *,
    dtype: Precision | torch.dtype = "auto",
    quantize: Literal["int8"] | None = None,
    compile: bool = False,
) -> Model:
    """Prepare a model for inference on this machine's CPU.

    Keys and values become one product, weights are packed for the processor once, and activations run inside the
    products. Numbers stay those of the model in that dtype, but for rounding. Float32 weights stay as they are on a
    processor where PyTorch's own product is clearly faster than the packed one (`nysformer.ops.pays_to_pack`).

    Args:
        model: any nysformer model; it is left as it is.
        dtype: of weights and activations. "auto": bfloat16 where the processor multiplies in it, else float32.
        quantize: "int8" for int8 weights and activations in the encoder's products, `dtype` elsewhere; see `Int8Linear`
            for what that costs.
        compile: also run `torch.compile` over the model, for any length and batch. It runs the dense form, which is
            what cannot depend on data: padding costs as much as text, and fused products are left to the compiler.

    Returns:
        A copy for inference: in eval mode, without gradients, not to be saved or trained.

    Raises:
        NysformerError: a dtype or quantisation that this machine or this combination does not have.

    Example:
        >>> from nysformer.models import NystromformerConfig, NystromformerModel
        >>> config = NystromformerConfig(vocab_size=50, hidden_size=32, num_hidden_layers=1, num_attention_heads=2)
        >>> model = NystromformerModel(config).eval()
        >>> ids = torch.randint(2, 50, (1, 100))
        >>> fast = optimize(model, dtype="float32")
        >>> bool((fast(ids)[0] - model(ids)[0]).abs().max() < 1e-4)
        True
    """
    precision = _precision(dtype)
    if quantize not in (None, "int8"):
        raise NysformerError(f"quantize is {quantize!r}: choose 'int8' or None")
    if quantize is not None and compile:
        raise NysformerError("quantize and compile exclude each other: the compiler has no int8 products here")
    if quantize is not None and not can_quantize():
        raise NysformerError("this PyTorch has no int8 products (the oneDNN engine): leave quantize away")
    fast = copy.deepcopy(model).eval().requires_grad_(False).to(precision)
    fast.is_optimized = True
    if compile:
        fast.compile(dynamic=True)
        return fast
    if quantize is None and not pays_to_pack(precision):
        return fast
    for layer in fast.base_model.encoder.layer:
        fuse_layer(layer, PackedLinear if quantize is None else Int8Linear)
    return fast


def _precision(dtype: Precision | torch.dtype) -> torch.dtype:
    names = {"float32": torch.float32, "bfloat16": torch.bfloat16}
    precision = names.get(dtype, dtype) if isinstance(dtype, str) else dtype
    if precision == "auto":
        precision = torch.bfloat16 if can_pack(torch.bfloat16) else torch.float32
    if precision not in names.values():
        raise NysformerError(f"dtype is {dtype!r}: choose 'auto', 'float32' or 'bfloat16'")
    assert isinstance(precision, torch.dtype)
    return precision
