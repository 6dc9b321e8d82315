"""Taking attention heads out of a layer's weights. Shapes: E hidden size, H heads, D head width."""

import torch
from torch import Tensor, nn

from nysformer.layers import EncoderLayer, HeadKernels

__all__ = ["prune_layer"]


def prune_layer(layer: EncoderLayer, kept: list[int], head_size: int) -> None:
    """Keep only the heads at those places: projections, convolution kernels, and the columns that read them."""
    attention, output = layer.attention.self, layer.attention.output
    places = torch.tensor(kept)
    channels = (places[:, None] * head_size + torch.arange(head_size)).flatten()
    for projection in (attention.query, attention.key, attention.value):
        _select(projection, "weight", 0, channels)
        _select(projection, "bias", 0, channels)
        projection.out_features = len(channels)
    _select(output.dense, "weight", 1, channels)
    output.dense.in_features = len(channels)
    if isinstance(attention.conv, HeadKernels):  # else there is none, or another layer's
        _select(attention.conv, "weight", 0, places)
    attention.num_heads = len(kept)


def _select(module: nn.Module, name: str, dim: int, index: Tensor) -> None:
    old = getattr(module, name)
    new = old.detach().index_select(dim, index.to(old.device)).clone()
    setattr(module, name, nn.Parameter(new, requires_grad=old.requires_grad))
