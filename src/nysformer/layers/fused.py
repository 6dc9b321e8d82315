"""The dense blocks for inference on a CPU: weights packed once, activations inside the matrix products.

Made from trained modules by `fuse_layer`; they hold no parameters and have no backward. oneDNN's packed product is
also two to three times MKL's in single precision on processors that are not Intel's. Shapes: (..., E) hidden size E.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from nysformer.layers.attention import SelfAttention
from nysformer.layers.encoder import EncoderLayer
from nysformer.layers.feed_forward import Intermediate, ResidualOutput
from nysformer.ops import can_pack

__all__ = ["Int8Linear", "PackedLinear", "can_quantize", "fuse_layer"]

Activation = Callable[[Tensor], Tensor]


def can_quantize() -> bool:
    """Whether this PyTorch has oneDNN's int8 linear layer."""
    return hasattr(torch.ops.onednn, "qlinear_pointwise") and can_pack(torch.float32)


class FusedProduct:
    """What never changes once it is made, so that copies of a model may share it."""

    def __deepcopy__(self, memo: dict[int, object]) -> FusedProduct:
        return self


class PackedLinear(FusedProduct):
    """activation(x W^T + b) in one product: (..., in) to (..., out).

    Args:
        weight: (out, in), float32 or bfloat16.
        bias: (out,).
        activation: GELU in either form and ReLU run inside the product, another one after it.
    """

    def __init__(self, weight: Tensor, bias: Tensor, activation: Activation | None = None) -> None:
        self.weight = torch.ops.mkldnn._reorder_linear_weight(weight.detach().contiguous())
        self.bias = bias.detach()
        self.inside = _inside(activation)
        self.after = activation if self.inside is None else None

    def __call__(self, x: Tensor) -> Tensor:
        name, variant = self.inside or ("none", "")
        out = torch.ops.mkldnn._linear_pointwise(x, self.weight, self.bias, name, [], variant)
        return out if self.after is None else self.after(out)


class Int8Linear(FusedProduct):
    """The same with int8 weights, a scale an output, and activations quantised as they come, a scale a call.

    That scale follows the largest activation of the call, so a document's numbers move with its batch mates, within
    the error that quantisation has anyway.
    """

    def __init__(self, weight: Tensor, bias: Tensor, activation: Activation | None = None) -> None:
        weight = weight.detach().float()
        self.scales = (weight.abs().amax(dim=1) / 127).clamp(min=torch.finfo(torch.float32).tiny)
        rows = (weight / self.scales[:, None]).round().to(torch.int8)
        self.weight = torch.ops.onednn.qlinear_prepack(rows, None)
        self.zeros = torch.zeros(len(rows), dtype=torch.int64)
        self.bias = bias.detach().float()
        self.inside = _inside(activation)
        self.after = activation if self.inside is None else None

    def __call__(self, x: Tensor) -> Tensor:
        scale = max(float(x.abs().amax()) / 127, torch.finfo(torch.float32).tiny) if x.numel() else 1.0
        quantized = (x * (1 / scale)).round_().add_(128).to(torch.uint8)
        product = (quantized, scale, 128, self.weight, self.scales, self.zeros)
        name, variant = self.inside or ("none", "")
        out = torch.ops.onednn.qlinear_pointwise(*product, self.bias, 1.0, 0, x.dtype, name, [], variant)
        return out if self.after is None else self.after(out)


Linear = type[PackedLinear] | type[Int8Linear]


class FusedSelfAttention(SelfAttention):
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


class FusedIntermediate(nn.Module):
    """`Intermediate` with the activation inside the product."""

    def __init__(self, source: Intermediate, linear: Linear) -> None:
        super().__init__()
        self.fused = linear(source.dense.weight, source.dense.bias, source.activation)

    def forward(self, hidden: Tensor) -> Tensor:
        return self.fused(hidden)


class FusedResidualOutput(nn.Module):
    """`ResidualOutput` without dropout. The residual is added after the product: inside it, it takes longer."""

    def __init__(self, source: ResidualOutput, linear: Linear) -> None:
        super().__init__()
        self.fused = linear(source.dense.weight, source.dense.bias)
        self.LayerNorm = source.LayerNorm

    def forward(self, hidden: Tensor, residual: Tensor) -> Tensor:
        return self.LayerNorm(self.fused(hidden).add_(residual))


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
