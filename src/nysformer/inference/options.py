"""The options of running a model on documents, whatever is done with its answers."""

from dataclasses import dataclass

from nysformer.options import Choice, Text, check_options, option, option_class, whole
from nysformer.runtime.options import PRECISIONS, Precision

__all__ = ["TOKENS_PER_BATCH", "InferenceOptions"]

TOKENS_PER_BATCH = 8192
"""Real tokens per batch; more is no faster on a CPU."""


@option_class
@dataclass(frozen=True, slots=True, kw_only=True)
class InferenceOptions:
    """How a model is run on documents."""

    max_length: int | None = option(
        None,
        whole(1),
        metavar="TOKENS",
        show_default="as many as the model has positions",
        help="The rest of a longer document is cut.",
    )
    tokens_per_batch: int = option(
        TOKENS_PER_BATCH,
        whole(1),
        metavar="TOKENS",
        help="Real tokens per batch; a longer document gets its own batch.",
    )
    dtype: Precision = option(
        "float32",
        Choice(PRECISIONS),
        help="Of weights and arithmetic; int8 is for the CPU, with bfloat16 where the processor has it.",
    )
    device: str | None = option(
        None, Text(), metavar="NAME", show_default="the first GPU, else the CPU", help="cpu, cuda, cuda:1, mps."
    )

    def __post_init__(self) -> None:
        """Refuse what cannot be meant.

        Raises:
            NysformerError: with the field, its value and what it may be.
        """
        check_options(self)
