"""Pure functions on tensors: the attention and its parts, dense and packed. Torch only."""

from nysformer.ops import reference
from nysformer.ops.attention import nystrom_attention, softmax_attention
from nysformer.ops.convolution import depthwise_convolution
from nysformer.ops.landmarks import segment_means
from nysformer.ops.layout import Layout
from nysformer.ops.linear import activate, can_pack, linear
from nysformer.ops.maps import attention_factors, attention_map, attention_rows
from nysformer.ops.pinv import MAX_PINV_ITERATIONS, iterative_pinv

__all__ = [
    "MAX_PINV_ITERATIONS",
    "Layout",
    "activate",
    "attention_factors",
    "attention_map",
    "attention_rows",
    "can_pack",
    "depthwise_convolution",
    "iterative_pinv",
    "linear",
    "nystrom_attention",
    "reference",
    "segment_means",
    "softmax_attention",
]
