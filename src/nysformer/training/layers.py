"""Which parts of an encoder learn, and how fast, from the head down to the embeddings."""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import nn

from nysformer.models import NystromformerPreTrainedModel

__all__ = ["freeze_tables", "layer_scales"]


def freeze_tables(model: NystromformerPreTrainedModel) -> None:
    """Let the embedding tables of words, positions and types get no gradients, in place; their norm still learns."""
    for module in model.base_model.embeddings.modules():
        if isinstance(module, nn.Embedding):
            module.requires_grad_(False)


def layer_scales(model: NystromformerPreTrainedModel, decay: float) -> Mapping[str, float]:
    """Factors on the learning rate, by parameter name: decay ** depth, where the head has depth 0.

    The top layer has depth 1, and the embeddings are one deeper than the lowest layer.

    Args:
        model: with or without a head.
        decay: from a layer to the one below; 1 gives an empty mapping, for all alike.
    """
    if decay == 1.0:
        return {}
    layers = model.config.num_hidden_layers
    body = "" if model.base_model is model else f"{model.base_model_prefix}."
    scales = {}
    for name, _ in model.named_parameters():
        found = re.match(rf"{body}encoder\.(?:long_)?layer\.(\d+)\.", name)
        if found is not None:
            scales[name] = decay ** (layers - int(found[1]))
        elif name.startswith(f"{body}embeddings."):
            scales[name] = decay ** (layers + 1)
    return scales
