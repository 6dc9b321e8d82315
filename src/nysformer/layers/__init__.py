"""The encoder's modules, with plain arguments. Torch only."""

from nysformer.layers.attention import MAX_MAP_BYTES, SelfAttention
from nysformer.layers.convolution import HeadKernels
from nysformer.layers.embeddings import Embeddings, table_rows
from nysformer.layers.encoder import EncoderLayer
from nysformer.layers.feed_forward import Intermediate, ResidualOutput
from nysformer.layers.linear import project
from nysformer.layers.nystrom_attention import NystromAttention
from nysformer.layers.offsets import OffsetLinear, OffsetNorm, add_up, offset_from

__all__ = [
    "MAX_MAP_BYTES",
    "Embeddings",
    "EncoderLayer",
    "HeadKernels",
    "Intermediate",
    "NystromAttention",
    "OffsetLinear",
    "OffsetNorm",
    "ResidualOutput",
    "SelfAttention",
    "add_up",
    "offset_from",
    "project",
    "table_rows",
]
