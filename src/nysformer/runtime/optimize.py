"""One call that prepares a model for inference on this machine."""

from __future__ import annotations

import copy
from typing import Any, Literal, TypeVar

import torch
from torch import Tensor, nn

from nysformer.errors import NysformerError
from nysformer.layers.fused import Int8Linear, PackedLinear, can_quantize, dense_projections, fuse_layer
from nysformer.layers.offsets import OffsetLinear, add_up
from nysformer.layers.watched import is_watched
from nysformer.models.finite import check_finite_model
from nysformer.models.pretrained import NystromformerPreTrainedModel
from nysformer.ops import can_pack, pays_to_pack

__all__ = ["Precision", "optimize"]

Model = TypeVar("Model", bound=NystromformerPreTrainedModel)
Precision = Literal["auto", "float32", "bfloat16"]

# Where wrappers keep the model: DataParallel and DDP, torch.compile, accelerate, Trainer and sentence-transformers.
_WRAPPED = ("module", "_orig_mod", "model", "auto_model")


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
        A copy for inference: in eval mode, without gradients, not to be saved or trained. It can be copied and pickled,
        and so be sent to other processes, which pack the weights for their own processor. A model that came out of
        `optimize` is refused: optimize the one it was made from.

    Raises:
        NysformerError: a dtype or quantisation that this machine or this combination does not have; something that is
            not a nysformer model on the CPU; a model with an adapter that is not merged, with layers that are already
            quantized, with hooks inside its layers, or with weights that are not finite.

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
    _check_source(model)
    if quantize not in (None, "int8"):
        raise NysformerError(f"quantize is {quantize!r}: choose 'int8' or None")
    if quantize is not None and compile:
        raise NysformerError("quantize and compile exclude each other: the compiler has no int8 products here")
    if quantize is not None and not can_quantize():
        raise NysformerError("this PyTorch has no int8 products (the oneDNN engine): leave quantize away")
    fast = copy.deepcopy(model).eval().requires_grad_(False).to(precision)
    for layer in fast.base_model.encoder.long_layer or ():
        add_up(layer)
    check_finite_model(fast, type(model).__name__)
    if not compile and (quantize is not None or pays_to_pack(precision)):
        for layer in fast.base_model.encoder.all_layers():
            fuse_layer(layer, PackedLinear if quantize is None else Int8Linear)
    fast._become_optimized(compiled=compile)
    return fast


def _check_source(model: object) -> None:
    """Refuse whatever cannot be read as plain weights, in one line that says what to do instead."""
    kind = type(model).__name__
    if not isinstance(model, NystromformerPreTrainedModel):
        inner = next((name for name in _WRAPPED if isinstance(getattr(model, name, None), nn.Module)), None)
        if hasattr(model, "merge_and_unload"):
            fix = "merge its adapter first, optimize(model.merge_and_unload())"
        elif inner is not None:
            fix = f"pass the model inside it, optimize(model.{inner})"
        else:
            fix = "load one with nysformer's own classes, such as NystromformerModel.from_pretrained"
        raise NysformerError(f"optimize takes a nysformer model, and this is a {kind}: {fix}")
    if model.is_optimized:
        raise NysformerError("this model is optimized already: pass the model it was made from")
    if model.device.type != "cpu":
        raise NysformerError(f"optimize prepares a model for the CPU, and this one is on {model.device}: move it first")
    encoder = model.base_model.encoder
    places = [f"encoder.layer.{number}" for number in range(len(encoder.layer))]
    places += [f"encoder.long_layer.{number}" for number in range(len(encoder.long_layer or ()))]
    for place, layer in zip(places, encoder.all_layers(), strict=True):
        for name, projection in dense_projections(layer).items():
            _check_projection(f"{place}.{name}", projection)
        # A hook on a module that is replaced would no longer run.
        if is_watched(layer.attention, layer.intermediate, layer.output):
            raise NysformerError(f"a hook hangs inside {place}, and packed layers run none: remove it before optimize")


def _check_projection(name: str, projection: nn.Module) -> None:
    kind = f"{type(projection).__module__}.{type(projection).__name__}"
    if kind.startswith("peft."):
        raise NysformerError(
            f"{name} has an adapter ({kind}): merge it first, for example PeftModel.merge_and_unload()"
        )
    weight: Any = getattr(projection, "weight", None)
    # Subclasses that compute otherwise, such as those of quantization-aware training, would lose what they add.
    forward = type(projection).forward
    plain = isinstance(projection, nn.Linear) and forward in (nn.Linear.forward, OffsetLinear.forward)
    if not plain or type(weight) not in (Tensor, nn.Parameter) or not weight.is_floating_point():
        raise NysformerError(f"{name} is a {kind}, not a plain linear layer: pass the model as it was before")


def _precision(dtype: Precision | torch.dtype) -> torch.dtype:
    names = {"float32": torch.float32, "bfloat16": torch.bfloat16}
    precision = names.get(dtype, dtype) if isinstance(dtype, str) else dtype
    if precision == "auto":
        precision = torch.bfloat16 if can_pack(torch.bfloat16) else torch.float32
    if precision not in names.values():
        raise NysformerError(f"dtype is {dtype!r}: choose 'auto', 'float32' or 'bfloat16'")
    assert isinstance(precision, torch.dtype)
    return precision
