"""The encoder that a Nyströmformer approximates: softmax attention over whole documents."""

from __future__ import annotations

from nysformer.models.configuration import NystromformerConfig
from nysformer.models.encoder import NystromformerModel

__all__ = ["with_softmax_attention"]


def with_softmax_attention(encoder: NystromformerModel) -> NystromformerModel:
    """A copy with softmax attention at every length, in eval mode, without gradients.

    Where documents beyond `exact_length` have layers of their own, the copy reads them through those of short ones.

    Example:
        >>> config = NystromformerConfig(vocab_size=50, hidden_size=32, num_hidden_layers=1, num_attention_heads=2)
        >>> with_softmax_attention(NystromformerModel(config)).config.exact_length is None
        True
    """
    settings = {**encoder.config.to_dict(), "attention_mode": "softmax", "long_layers": False}
    exact = NystromformerModel(NystromformerConfig.from_dict(settings)).to(encoder.device, encoder.dtype)
    state = encoder.state_dict()
    exact.load_state_dict({key: state[key] for key in state if not key.startswith("encoder.long_layer.")})
    return exact.eval().requires_grad_(False)
