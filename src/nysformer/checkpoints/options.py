"""The options of writing model folders: converted from other encoders, and exported to other runtimes."""

from dataclasses import dataclass
from typing import Literal, get_args

from nysformer.errors import NysformerError
from nysformer.options import Choice, Flag, check_options, option, option_class, whole

__all__ = ["ConversionOptions", "ExportOptions", "Format", "LandmarkKind"]

Format = Literal["onnx", "torch-export"]
# As in `nysformer.ops`, which takes torch to read.
LandmarkKind = Literal["segments", "clusters"]

# Positions that a table may have: beyond, it would not fit into the memory of any machine this is for.
MOST_POSITIONS = 2**20
MOST_STEPS = 16


@option_class
@dataclass(frozen=True, kw_only=True)
class ConversionOptions:
    """The options of a conversion; None for what the source says."""

    max_position_embeddings: int | None = option(
        None,
        whole(1, MOST_POSITIONS),
        flag="--max-length",
        metavar="TOKENS",
        show_default="the source's own",
        help="Longest document the result reads: the source's positions are tiled up to there.",
    )
    num_landmarks: int | None = option(
        None,
        whole(1, MOST_POSITIONS),
        flag="--landmarks",
        metavar="N",
        show_default="the source's own, else 64",
        help="Landmarks per head.",
    )
    landmarks: LandmarkKind | None = option(
        None,
        Choice(get_args(LandmarkKind)),
        flag="--landmark-kind",
        show_default="the source's own, else clusters",
        help="segments: means of consecutive tokens, as published. clusters: centres of similar ones, nearer to the "
        "source.",
    )
    landmark_steps: int | None = option(
        None,
        whole(1, MOST_STEPS),
        metavar="N",
        show_default="the source's own, else 2",
        help="Steps that find the clusters; more than 3 are no better.",
    )
    softmax_max_length: int | None = option(
        None,
        whole(0),
        metavar="TOKENS",
        show_default="all that the source reads; 0 for a Nyströmformer",
        help="Documents up to there keep softmax attention, and with it the source's numbers.",
    )
    exact_layers: int = option(
        0,
        whole(0, MOST_POSITIONS),
        metavar="N",
        help="The first N layers run softmax attention on documents of up to `exact_layers_length` tokens, at a cost "
        "that is quadratic up to there: what landmarks lose, they lose in the first layers.",
    )
    exact_layers_length: int = option(4096, whole(1, MOST_POSITIONS), metavar="TOKENS", help="With `exact_layers`.")
    conv_kernel_size: int | None = option(
        None,
        whole(1, MOST_POSITIONS),
        flag="--conv-kernel",
        metavar="K",
        help="Add a convolution of K (odd) taps, zero until trained. A source with a convolution keeps its own.",
    )
    num_attention_heads: int | None = option(
        None,
        whole(1, MOST_POSITIONS),
        flag="--num-heads",
        metavar="N",
        help="Attention heads, for an authors' checkpoint without convolution.",
    )
    allow_pickle: bool = option(False, Flag(), help="Read pickled weights, too, by a reader that makes tensors only.")

    def __post_init__(self) -> None:
        """Refuse values out of range.

        Raises:
            NysformerError: with the option, its value and the range it may have.
        """
        check_options(self)

    def layer_overrides(self, num_hidden_layers: int) -> dict[int, dict[str, int]]:
        """What the exact layers have otherwise than the model, see `NystromformerConfig.layer_overrides`.

        Raises:
            NysformerError: more exact layers than there are.
        """
        if self.exact_layers > num_hidden_layers:
            raise NysformerError(f"exact_layers: {self.exact_layers} of {num_hidden_layers} layers; give fewer")
        return {layer: {"softmax_max_length": self.exact_layers_length} for layer in range(self.exact_layers)}


@option_class
@dataclass(frozen=True, kw_only=True)
class ExportOptions:
    """What is written for another runtime."""

    format: Format = option(
        "onnx",
        Choice(get_args(Format)),
        help="onnx: model.onnx, for ONNX Runtime. torch-export: model.pt2, for torch.export.load.",
    )
    token_types: bool = option(False, Flag(), help="Let the program read token_type_ids, too; else they are 0.")

    def __post_init__(self) -> None:
        """Refuse what cannot be meant.

        Raises:
            NysformerError: with the field, its value and what it may be.
        """
        check_options(self)
