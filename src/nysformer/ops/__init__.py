"""Pure functions on tensors: the attention and its parts, dense and packed. Torch only."""

from nysformer.ops import reference
from nysformer.ops.attention import attend, nystrom_attention, softmax_attention
from nysformer.ops.blocks import BLOCK_ROWS, runs_in_blocks
from nysformer.ops.convolution import depthwise_convolution
from nysformer.ops.landmark_state import LandmarkState
from nysformer.ops.landmarks import LandmarkSums, segment_means
from nysformer.ops.layout import Layout
from nysformer.ops.linear import activate, linear
from nysformer.ops.maps import attention_factors, attention_map, attention_rows, map_factors, map_rows
from nysformer.ops.pinv import MAX_PINV_ITERATIONS, iterative_pinv
from nysformer.ops.product import (
    ProductBackend,
    can_pack,
    pays_to_pack,
    product_backend,
    set_product_backend,
    use_product_backend,
)
from nysformer.ops.scaled_dot_product import Implementation
from nysformer.ops.spec import LANDMARK_KINDS, MAX_LANDMARK_STEPS, LandmarkKind, NystromSpec
from nysformer.ops.stream import nystrom_stream, pays_to_stream
from nysformer.ops.tracing import check_traceable, is_recorded, refuse_script

__all__ = [
    "BLOCK_ROWS",
    "LANDMARK_KINDS",
    "MAX_LANDMARK_STEPS",
    "MAX_PINV_ITERATIONS",
    "Implementation",
    "LandmarkKind",
    "LandmarkState",
    "LandmarkSums",
    "Layout",
    "NystromSpec",
    "ProductBackend",
    "activate",
    "attend",
    "attention_factors",
    "attention_map",
    "attention_rows",
    "can_pack",
    "check_traceable",
    "depthwise_convolution",
    "is_recorded",
    "iterative_pinv",
    "linear",
    "map_factors",
    "map_rows",
    "nystrom_attention",
    "nystrom_stream",
    "pays_to_pack",
    "pays_to_stream",
    "product_backend",
    "reference",
    "refuse_script",
    "runs_in_blocks",
    "segment_means",
    "set_product_backend",
    "softmax_attention",
    "use_product_backend",
]
