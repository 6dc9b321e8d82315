"""The options of distillation."""

from dataclasses import dataclass

from nysformer.checkpoints.options import MOST_POSITIONS
from nysformer.data.memory import Data
from nysformer.errors import NysformerError
from nysformer.options import FilesOrRows, Number, Text, option, option_class, required, share, whole
from nysformer.training.settings import TrainingOptions

__all__ = ["DistillOptions"]


@option_class
@dataclass(frozen=True, slots=True, kw_only=True)
class DistillOptions(TrainingOptions):
    """The settings of one distillation. Lengths and budgets are in tokens."""

    model: str | None = required(
        Text(),
        metavar="DIR|ID",
        panel="Model and output",
        help="Encoder to learn from: a Nyströmformer that `nysformer convert` made, or a BERT that it reads, which is "
        "converted first. A folder, or a name on the Hugging Face hub.",
    )
    num_landmarks: int | None = option(
        None,
        whole(1, MOST_POSITIONS),
        flag="--landmarks",
        metavar="N",
        panel="Model and output",
        show_default="the source's own, else 64",
        help="Landmarks per head.",
    )
    train: tuple[str, ...] | Data = required(
        FilesOrRows(),
        flag="--text",
        metavar="FILE...",
        panel="Documents",
        help="Long documents to train on, without labels: text files, JSON Lines, CSV, TSV, Parquet (.gz too); folders "
        "of such. Those that softmax attention reads are left out.",
    )
    valid_share: float | None = option(
        None,
        share(zero=False),
        metavar="SHARE",
        panel="Documents",
        show_default="0.05, unless `valid` is given",
        help="Hold out this share of the training documents.",
    )
    max_length: int | None = option(
        None,
        whole(1, MOST_POSITIONS),
        metavar="TOKENS",
        panel="Documents",
        show_default="as many as the model has positions; 4,096 for a source that is converted",
        help="Tokens that are read of a document. The source reads them by softmax attention, at quadratic cost.",
    )
    learning_rate: float = option(
        3e-5, Number(0, open_low=True), metavar="RATE", panel="Training", help="Highest rate, of AdamW."
    )
    weight_decay: float = option(
        0.0, Number(0, 1_000), metavar="NUMBER", panel="Training", help="Of all but biases and norms."
    )
    tokens_per_batch: int = option(
        2048,
        whole(1),
        metavar="TOKENS",
        panel="Training",
        help="Real tokens per step; a longer document gets its own batch. Padding is free.",
    )
    vector_weight: float = option(
        8.0,
        Number(0),
        metavar="NUMBER",
        panel="Training",
        help="Weight of the error of a document's mean-pooled vector, beside that of the tokens' hidden states.",
    )

    def __post_init__(self) -> None:
        """Refuse what cannot be meant.

        Raises:
            NysformerError: with the option, its value and what it may be.
        """
        if self.valid_share is None and not self.has_validation:
            object.__setattr__(self, "valid_share", 0.05)
        TrainingOptions.__post_init__(self)
        if self.reading != "whole":
            raise NysformerError(f"reading: {self.reading!r} leaves no long documents to learn from; leave it out")
