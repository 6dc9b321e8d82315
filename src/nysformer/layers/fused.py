"""The dense blocks for inference on a CPU: weights packed once, activations inside the matrix products.

Made from trained modules by `fuse_layer`; they hold no parameters and have no backward. oneDNN's packed product is
also two to three times MKL's in single precision on processors that are not Intel's. Shapes: (..., E) hidden size E.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from nysformer.errors import NysformerError
from nysformer.layers.attention import SelfAttention
from nysformer.layers.encoder import EncoderLayer
from nysformer.layers.feed_forward import Intermediate, ResidualOutput
from nysformer.ops import can_pack

__all__ = ["Int8Linear", "PackedLinear", "can_quantize", "dense_projections", "fuse_layer", "is_unchanged_by"]

Activation = Callable[[Tensor], Tensor]


def can_quantize() -> bool:
    """Whether this PyTorch has oneDNN's int8 linear layer."""
    return hasattr(torch.ops.onednn, "qlinear_pointwise") and can_pack(torch.float32)


class FusedProduct:
    """What never changes once it is made, so that copies of a model may share it.

    Pickling writes the plain weights, from which the packed ones are made again wherever they are read.

    Attributes:
        dtype: of the activations.
    """

    dtype: torch.dtype

    def __deepcopy__(self, memo: dict[int, object]) -> FusedProduct:
        return self


class PackedLinear(FusedProduct):
    """activation(x W^T + b) in one product: (..., in) to (..., out).

    Args:
        weight: (out, in), float32 or bfloat16.
        bias: (out,).
        activation: GELU in either form and ReLU run inside the product, another one after it.

    Raises:
        NysformerError: this machine has no packed products in that dtype, or, when called, a gradient is wanted.
    """

    def __init__(self, weight: Tensor, bias: Tensor, activation: Activation | None = None) -> None:
        if not can_pack(weight.dtype):
            raise NysformerError(f"this machine has no packed products in {weight.dtype}: optimize the model here")
        self.dtype = weight.dtype
        self.weight = torch.ops.mkldnn._reorder_linear_weight(weight.detach().contiguous())
        self.bias = bias.detach()
        self.activation = activation
        self.inside = _inside(activation)
        self.after = activation if self.inside is None else None

    def __reduce__(self) -> tuple[Any, ...]:
        return PackedLinear, (self.weight.to_dense(), self.bias, self.activation)

    def __call__(self, x: Tensor) -> Tensor:
        _refuse_gradient(x)
        name, variant = self.inside or ("none", "")
        out = torch.ops.mkldnn._linear_pointwise(x, self.weight, self.bias, name, [], variant)
        return out if self.after is None else self.after(out)


class Int8Linear(FusedProduct):
    """The same with int8 weights, one scale per output, and activations quantised as they come, one scale per call.

    That scale follows the largest activation of the call, so a document's numbers move with its batch mates, within
    the error that quantisation has anyway.
    """

    def __init__(self, weight: Tensor, bias: Tensor, activation: Activation | None = None) -> None:
        dtype, weight = weight.dtype, weight.detach().float()
        scales = (weight.abs().amax(dim=1) / 127).clamp(min=torch.finfo(torch.float32).tiny)
        rows = (weight / scales[:, None]).round().to(torch.int8)
        self._prepare(rows, scales, bias.detach().float(), activation, dtype)

    def _prepare(
        self, rows: Tensor, scales: Tensor, bias: Tensor, activation: Activation | None, dtype: torch.dtype
    ) -> None:
        self.dtype = dtype
        self.scales = scales
        self.weight = torch.ops.onednn.qlinear_prepack(rows, None)
        self.zeros = torch.zeros(len(rows), dtype=torch.int64)
        self.bias = bias
        self.activation = activation
        self.inside = _inside(activation)
        self.after = activation if self.inside is None else None

    def __reduce__(self) -> tuple[Any, ...]:
        rows = self.weight.to_dense().T.contiguous()  # packing transposes
        return _int8_from_rows, (rows, self.scales, self.bias, self.activation, self.dtype)

    def __call__(self, x: Tensor) -> Tensor:
        _refuse_gradient(x)
        scale = max(float(x.abs().amax()) / 127, torch.finfo(torch.float32).tiny) if x.numel() else 1.0
        quantized = (x * (1 / scale)).round_().add_(128).to(torch.uint8)
        product = (quantized, scale, 128, self.weight, self.scales, self.zeros)
        name, variant = self.inside or ("none", "")
        out = torch.ops.onednn.qlinear_pointwise(*product, self.bias, 1.0, 0, x.dtype, name, [], variant)
        return out if self.after is None else self.after(out)


def _int8_from_rows(rows: Tensor, *rest: Any) -> Int8Linear:
    """An `Int8Linear` from its (out, in) int8 weights and the other arguments of `_prepare`."""
    if not can_quantize():
        raise NysformerError("this PyTorch has no int8 products (the oneDNN engine): optimize the model here")
    product = Int8Linear.__new__(Int8Linear)
    product._prepare(rows, *rest)
    return product


def _refuse_gradient(x: Tensor) -> None:
    if x.requires_grad and torch.is_grad_enabled():
        raise NysformerError("an optimized model has no gradients: use the model it was made from")


def is_unchanged_by(convert: Callable[[Tensor], Tensor], dtype: torch.dtype) -> bool:
    """Whether a conversion, as `nn.Module._apply` takes it, leaves tensors of that dtype in it and on the CPU."""
    try:
        probe = convert(torch.empty(0, dtype=dtype))
    except (AssertionError, RuntimeError):  # no such device here
        return False
    return probe.dtype == dtype and probe.device.type == "cpu"


Linear = type[PackedLinear] | type[Int8Linear]


class FusedBlock(nn.Module):
    """A block with packed weights. They are no parameters, so it refuses whatever would silently pass them over."""

    def _products(self) -> Iterator[FusedProduct]:
        return (value for value in vars(self).values() if isinstance(value, FusedProduct))

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> FusedBlock:
        if not all(is_unchanged_by(fn, product.dtype) for product in self._products()):
            raise NysformerError(
                "an optimized model stays on the CPU and in its dtype: move or convert the model it was made from"
            )
        super()._apply(fn, recurse)
        return self

    def _save_to_state_dict(self, *args: Any, **kwargs: Any) -> None:
        raise NysformerError(
            "an optimized model has no state dict, its weights are packed: take that of the model it was made from"
        )

    def _load_from_state_dict(self, *args: Any, **kwargs: Any) -> None:
        raise NysformerError(
            "an optimized model cannot load weights: load them into the model it was made from, and optimize that"
        )


class FusedSelfAttention(FusedBlock, SelfAttention):
    """Self-attention whose keys and values are one product."""

    def __init__(self, source: SelfAttention, linear: Linear) -> None:
        nn.Module.__init__(self)
        self.__dict__.update({key: value for key, value in source.__dict__.items() if not key.startswith("_")})
        self.training = False
        self.conv = source.conv
        self.fused_query = linear(source.query.weight, source.query.bias)
        self.fused_key_value = linear(
            torch.cat([source.key.weight, source.value.weight]), torch.cat([source.key.bias, source.value.bias])
        )

    def projects_linearly(self) -> bool:
        return True

    def project_query(self, hidden: Tensor) -> Tensor:
        return self._split(self.fused_query(hidden))

    def project_key_value(self, hidden: Tensor) -> tuple[Tensor, Tensor]:
        key, value = self.fused_key_value(hidden).chunk(2, dim=-1)
        return self._split(key), self._split(value)


class FusedIntermediate(FusedBlock):
    """`Intermediate` with the activation inside the product."""

    def __init__(self, source: Intermediate, linear: Linear) -> None:
        super().__init__()
        self.fused = linear(source.dense.weight, source.dense.bias, source.activation)

    def forward(self, hidden: Tensor) -> Tensor:
        return self.fused(hidden)


class FusedResidualOutput(FusedBlock):
    """`ResidualOutput` without dropout. The residual is added after the product: inside it, it takes longer."""

    def __init__(self, source: ResidualOutput, linear: Linear) -> None:
        super().__init__()
        self.fused = linear(source.dense.weight, source.dense.bias)
        self.LayerNorm = source.LayerNorm

    def forward(self, hidden: Tensor, residual: Tensor) -> Tensor:
        return self.LayerNorm(self.fused(hidden).add_(residual))


def dense_projections(layer: EncoderLayer) -> dict[str, nn.Module]:
    """The modules of a layer that `fuse_layer` reads weights from, by their names in it."""
    names = (
        *(f"attention.self.{name}" for name in ("query", "key", "value")),
        *(f"{name}.dense" for name in ("attention.output", "intermediate", "output")),
    )
    return {name: layer.get_submodule(name) for name in names}


def fuse_layer(layer: EncoderLayer, linear: Linear = PackedLinear) -> None:
    """Replace a layer's dense blocks by their inference form, in place. Its weights are read, not kept."""
    layer.attention.self = FusedSelfAttention(layer.attention.self, linear)
    for parent, name in ((layer.attention, "output"), (layer, "output")):
        setattr(parent, name, FusedResidualOutput(getattr(parent, name), linear))
    setattr(layer, "intermediate", FusedIntermediate(layer.intermediate, linear))  # noqa: B010


def _inside(activation: Activation | None) -> tuple[str, str] | None:
    """What oneDNN calls an activation: (name, variant); None for one it does not have."""
    if activation is None:
        return "none", ""
    if isinstance(activation, nn.GELU):
        return "gelu", activation.approximate
    if isinstance(activation, nn.ReLU):
        return "relu", ""
    return None
