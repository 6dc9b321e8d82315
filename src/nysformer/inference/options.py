"""The options of running a model on documents, whatever is done with its answers."""

from dataclasses import dataclass

from nysformer.options import Choice, Text, check_options, option, option_class, share, whole
from nysformer.runtime.options import PRECISIONS, Precision
from nysformer.tasks.reading import STRATEGIES, Strategy

__all__ = ["READING_HELP", "TOKENS_PER_BATCH", "InferenceOptions"]

READING_HELP = (
    "What is read of a document of more than `max_length` tokens. whole, head: its beginning. tail: its end. "
    "head+tail: a half of each. windows: all of it, in overlapping windows. key-sentences: its most central sentences."
)
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
        help="Tokens that the model reads at a time, special ones included.",
    )
    reading: Strategy | None = option(
        None, Choice(STRATEGIES), metavar="STRATEGY", show_default="as in training, else whole", help=READING_HELP
    )
    overlap: float | None = option(
        None,
        share(zero=True),
        metavar="SHARE",
        show_default="as in training, else 0.25",
        help="Share of a window that the next one repeats.",
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
