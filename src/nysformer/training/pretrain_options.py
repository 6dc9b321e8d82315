"""The options of pretraining."""

from dataclasses import dataclass

from nysformer.data.memory import Data
from nysformer.errors import NysformerError
from nysformer.inference.options import READING_HELP
from nysformer.options import Choice, FilesOrRows, Flag, Number, Text, option, option_class, required, share, whole
from nysformer.tasks.reading import STRATEGIES, Strategy
from nysformer.training.settings import TrainingOptions
from nysformer.training.sizes import SIZE_NAMES, SIZES, SizeName

__all__ = ["LANDMARKS", "POSITIONS", "TRAINED_TOKENIZERS", "VOCABULARY", "PretrainOptions"]

TRAINED_TOKENIZERS = ("wordpiece", "bpe")
VOCABULARY, POSITIONS, LANDMARKS = 16_000, 512, 64
"""Tokens, positions and landmarks per head of a new model, where nothing else is asked for."""

_CONTINUED_RATE = 5e-5
_SIZES = ", ".join(f"{name} ({size.layers} layers of {size.width})" for name, size in SIZES.items())
_RATES = ", ".join(f"{SIZES[name].learning_rate:g} for {name}" for name in SIZE_NAMES)


@option_class
@dataclass(frozen=True, slots=True, kw_only=True)
class PretrainOptions(TrainingOptions):
    """The settings of one pretraining run. Lengths and budgets are in tokens."""

    model: str | None = option(
        None,
        Text(),
        metavar="DIR|ID",
        panel="Model and output",
        help="Nyströmformer to go on with, and its tokenizer: a folder, or a name on the Hugging Face hub. This or "
        "`size` is needed.",
    )
    size: SizeName | None = option(
        None,
        Choice(SIZE_NAMES),
        panel="Model and output",
        help=f"Begin with random weights: {_SIZES}.",
    )
    tokenizer: str | None = option(
        None,
        Text(),
        metavar="wordpiece|bpe|DIR",
        panel="Model and output",
        show_default="wordpiece",
        help="With `size`. wordpiece: trained on the training documents, without case and accents. bpe: alike, on "
        "bytes, with case. Anything else: a folder, or a name on the hub, whose tokenizer is taken.",
    )
    vocab_size: int | None = option(
        None,
        whole(1),
        metavar="TOKENS",
        panel="Model and output",
        show_default=f"{VOCABULARY:,}",
        help="Tokens of a tokenizer that is trained, at most.",
    )
    num_landmarks: int | None = option(
        None,
        whole(1),
        metavar="NUMBER",
        panel="Model and output",
        flag="--landmarks",
        show_default=f"{LANDMARKS}",
        help="With `size`: landmarks per head; a document of no more tokens gets softmax attention.",
    )
    train: tuple[str, ...] | Data = required(
        FilesOrRows(),
        metavar="FILE...",
        panel="Documents",
        help="Texts to train on: text files, JSON Lines, CSV, TSV, Parquet (.gz too); folders of such.",
    )
    valid_share: float | None = option(
        None,
        share(zero=False),
        metavar="SHARE",
        panel="Documents",
        help="Hold out this share of the training documents instead.",
    )
    max_length: int | None = option(
        None,
        whole(1),
        metavar="TOKENS",
        panel="Documents",
        show_default=f"{POSITIONS} with `size`, else as many as the model has positions",
        help="Tokens that the model reads at a time; a new model gets so many positions.",
    )
    reading: Strategy = option("windows", Choice(STRATEGIES), metavar="STRATEGY", panel="Documents", help=READING_HELP)
    overlap: float = option(
        0.0, share(zero=True), metavar="SHARE", panel="Documents", help="Share of a window that the next one repeats."
    )
    mask_fraction: float = option(
        0.15, share(zero=False), metavar="SHARE", panel="Training", help="Share of the tokens that are to be predicted."
    )
    whole_words: bool = option(
        False, Flag(), panel="Training", help="Mask all tokens of a word or none, which is harder to predict."
    )
    learning_rate: float = required(
        Number(0, open_low=True),
        metavar="RATE",
        panel="Training",
        default=None,
        show_default=f"{_RATES}; {_CONTINUED_RATE:g} with `model`",
        help="Highest rate, of AdamW.",
    )

    def __post_init__(self) -> None:
        """Refuse what cannot be meant.

        Raises:
            NysformerError: with the option, its value and what it may be.
        """
        TrainingOptions.__post_init__(self)
        if self.size is None and self.model is None:
            raise NysformerError("size: no model; name a size to begin with random weights, or a model to go on with")
        if self.model is not None:
            for name in ("size", "tokenizer", "vocab_size", "num_landmarks"):
                if getattr(self, name) is not None:
                    raise NysformerError(f"{name}: model names one that has its own; leave out one of the two")
        if self.vocab_size is not None and not self.trains_tokenizer:
            raise NysformerError(
                f"vocab_size: the tokenizer of {self.tokenizer} is taken as it is; leave out one of the two"
            )
        if not self.learning_rate:  # None, which stands for the rate of the size
            rate = _CONTINUED_RATE if self.size is None else SIZES[self.size].learning_rate
            object.__setattr__(self, "learning_rate", rate)

    @property
    def trains_tokenizer(self) -> bool:
        """Whether the tokenizer is trained on the documents."""
        return self.model is None and (self.tokenizer is None or self.tokenizer in TRAINED_TOKENIZERS)
