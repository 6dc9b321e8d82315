"""The encoder's modules, with plain arguments. Torch only."""

from nysformer.layers.attention import MAX_MAP_BYTES, SelfAttention
from nysformer.layers.embeddings import Embeddings
from nysformer.layers.encoder import EncoderLayer
from nysformer.layers.feed_forward import Intermediate, ResidualOutput
from nysformer.layers.linear import Linear
from nysformer.layers.nystrom_attention import NystromAttention

__all__ = [
    "MAX_MAP_BYTES",
    "Embeddings",
    "EncoderLayer",
    "Intermediate",
    "Linear",
    "NystromAttention",
    "ResidualOutput",
    "SelfAttention",
]
