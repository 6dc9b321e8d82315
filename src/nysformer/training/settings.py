"""The options that every training has, and what a run gives."""

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal

from nysformer.data.memory import Data
from nysformer.data.reading import ReadOptions
from nysformer.errors import NysformerError
from nysformer.inference.options import READING_HELP, TOKENS_PER_BATCH
from nysformer.options import (
    Choice,
    FilesOrRows,
    Flag,
    Number,
    Text,
    as_keywords,
    option,
    option_class,
    required,
    share,
    whole,
)
from nysformer.runtime.options import PRECISIONS, Precision
from nysformer.tasks.reading import STRATEGIES, Strategy

__all__ = ["TrainingOptions", "TrainingResult"]


# Options that may change on resume; everything else shapes the numbers and must stay.
_FREE_ON_RESUME = {
    *("model", "train", "valid", "output", "text_column", "label_column"),
    *("columns", "input_format", "delimiter", "encoding", "label_from", "all_files"),  # the documents are compared
    *("epochs", "max_steps", "time_limit", "early_stopping", "gradient_checkpointing", "resume", "overwrite"),
}


@option_class
@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingOptions(ReadOptions):
    """The settings of one run, whatever is trained. Lengths and budgets are in tokens."""

    model: str | None = option(
        None, Text(), metavar="DIR|ID", panel="Model and output", help="Nyströmformer to begin with."
    )
    output: str = required(
        Text(), metavar="DIR", panel="Model and output", help="Run folder; it becomes a model folder."
    )
    resume: bool = option(
        False,
        Flag(),
        panel="Model and output",
        help="Go on with an earlier run there at its last checkpoint, with the losses it would have had.",
    )
    overwrite: bool = option(False, Flag(), panel="Model and output", help="Replace an earlier run there.")
    train: tuple[str, ...] | Data = required(
        FilesOrRows(),
        metavar="FILE...",
        panel="Documents",
        help="Documents to train on: JSON Lines, CSV, TSV, Parquet (.gz too); text files, labelled by the folder they "
        "lie in; folders of such.",
    )
    valid: tuple[str, ...] | Data = option(
        (),
        FilesOrRows(),
        metavar="FILE...",
        panel="Documents",
        help="Documents to choose the best checkpoint by. This or `valid_share` is needed.",
    )
    valid_share: float | None = option(
        None,
        share(zero=False),
        metavar="SHARE",
        panel="Documents",
        help="Hold out this share of the training documents instead, of each label alike.",
    )
    group_near_duplicates: bool = option(
        False, Flag(), panel="Documents", help="With `valid_share`: versions of one text stay on one side."
    )
    max_length: int | None = option(
        None,
        whole(1),
        metavar="TOKENS",
        panel="Documents",
        show_default="as many as the model has positions",
        help="Tokens that the model reads at a time; `reading` says what is read of a longer document.",
    )
    reading: Strategy = option("whole", Choice(STRATEGIES), metavar="STRATEGY", panel="Documents", help=READING_HELP)
    overlap: float = option(
        0.25, share(zero=True), metavar="SHARE", panel="Documents", help="Share of a window that the next one repeats."
    )
    train_windows: int | None = option(
        None,
        whole(1),
        metavar="NUMBER",
        panel="Documents",
        show_default="all of them",
        help="With `reading` windows: train on so many windows of a document per epoch, drawn anew for each. "
        "Documents are measured in all of theirs.",
    )
    tokens_per_batch: int = option(
        TOKENS_PER_BATCH,
        whole(1),
        metavar="TOKENS",
        panel="Training",
        help="Real tokens per step; a longer document gets its own batch. Padding is free.",
    )
    epochs: float | None = option(
        None,
        Number(0, 1_000_000, open_low=True),
        metavar="NUMBER",
        panel="Training",
        show_default="3, unless `max_steps` is given",
        help="Passes over the training documents; fractions count.",
    )
    max_steps: int | None = option(
        None,
        whole(0),
        metavar="NUMBER",
        panel="Training",
        help="Optimizer steps; the earliest of this, `epochs` and `time_limit` ends the run.",
    )
    time_limit: float | None = option(
        None,
        Number(0, 1_000_000, open_low=True),
        metavar="MINUTES",
        panel="Training",
        help="Minutes of training and evaluation, over all sessions of the run: it then stops, evaluates and saves. "
        "The learning rate falls in time for it.",
    )
    learning_rate: float = option(
        5e-5, Number(0, open_low=True), metavar="RATE", panel="Training", help="Highest rate, of AdamW."
    )
    weight_decay: float = option(
        0.01, Number(0, 1_000), metavar="NUMBER", panel="Training", help="Of all but biases and norms."
    )
    warmup_share: float = option(
        0.1,
        share(zero=True),
        metavar="SHARE",
        panel="Training",
        help="Share of the run in which the rate rises; then it falls, both linearly.",
    )
    max_grad_norm: float = option(
        1.0, Number(0), metavar="NORM", panel="Training", help="Clip gradients to this norm; 0: never."
    )
    bf16: bool = option(False, Flag(), panel="Training", help="bfloat16 autocast, on a CPU too.")
    gradient_checkpointing: bool = option(
        False,
        Flag(),
        panel="Training",
        help="Run each layer again in the backward pass: about half the memory, longer steps.",
    )
    seed: int = option(
        0,
        whole(0, 2**32 - 1),
        metavar="NUMBER",
        panel="Training",
        help="Of all that is drawn: new weights, the order of documents, dropout, the held-out share.",
    )
    eval_per_epoch: int = option(
        1,
        whole(1),
        metavar="NUMBER",
        panel="Evaluation and choice of the model",
        help="Evaluations, and checkpoints, per epoch.",
    )
    eval_steps: int | None = option(
        None,
        whole(1),
        metavar="STEPS",
        panel="Evaluation and choice of the model",
        help="Evaluate every so many steps instead.",
    )
    best_metric: str | None = option(
        None,
        Text(),
        metavar="METRIC",
        panel="Evaluation and choice of the model",
        show_default="the first that the task prints",
        help="The best checkpoint by this metric of the task, such as loss, becomes the model.",
    )
    eval_dtype: Precision | None = option(
        None,
        Choice(PRECISIONS),
        panel="Evaluation and choice of the model",
        show_default="as it trains",
        help="Evaluate a copy made fast for this CPU, in that precision.",
    )
    early_stopping: int | None = option(
        None,
        whole(1),
        metavar="NUMBER",
        panel="Evaluation and choice of the model",
        show_default="never",
        help="End the run after this many evaluations in a row without a better one.",
    )
    log_every: int = option(
        10,
        whole(1),
        metavar="STEPS",
        panel="Evaluation and choice of the model",
        help="Between two entries of the training curve.",
    )

    def __post_init__(self) -> None:
        """Refuse what cannot be meant.

        Raises:
            NysformerError: with the option, its value and what it may be.
        """
        ReadOptions.__post_init__(self)
        validated = self.has_validation
        if isinstance(self.train, tuple) and not self.train:
            raise NysformerError("train: no training documents; name files or folders")
        if not validated and self.valid_share is None:
            raise NysformerError("valid: no validation documents; name files or folders, or hold out a share of train")
        if validated and self.valid_share is not None:
            raise NysformerError("valid_share: validation documents are given already; leave out one of the two")
        for name in ("group_column", "group_near_duplicates"):
            if validated and getattr(self, name) and not self.probes:
                raise NysformerError(
                    f"{name}: nothing is held out, because validation documents are given; leave it out"
                )
        if self.max_steps == 0 and not self.probes:
            raise NysformerError("max_steps: 0 is below 1; give a whole number of at least 1")
        if self.train_windows is not None and self.reading != "windows":
            raise NysformerError(
                f"train_windows: documents are read {self.reading}; leave it out, or give reading='windows'"
            )
        if self.resume and self.overwrite:
            raise NysformerError("resume and overwrite exclude each other; leave out one of the two")

    @property
    def has_validation(self) -> bool:
        """Whether validation documents are given, and none are held out."""
        return not (isinstance(self.valid, tuple) and not self.valid)

    @property
    def probes(self) -> bool:
        """Whether the head is fitted to frozen features before the training, which makes folds of the documents."""
        return False

    def read_options(self) -> ReadOptions:
        """How the files are read."""
        return ReadOptions(**as_keywords(self, of=ReadOptions))

    def as_json(self) -> dict[str, Any]:
        """The options as they stand in `run.json`; of rows in memory, their type."""
        values = {each.name: getattr(self, each.name) for each in fields(self)}
        return {name: _plain(value) for name, value in values.items()}

    def check_resumable(self, before: dict[str, Any]) -> None:
        """Compare with the options a run began with, which `as_json` gave.

        Raises:
            NysformerError: one differs that would change the losses.
        """
        for name, value in self.as_json().items():
            if name in _FREE_ON_RESUME or (name == "best_metric" and value is None):  # that is the run's own
                continue
            if name in before and before[name] != value:
                raise NysformerError(
                    f"{self.output}: {name} is {value!r}, but the run began with {before[name]!r}; "
                    "resume with the run's own settings or begin a new run"
                )


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingResult:
    """How a run ended.

    Attributes:
        output: the run folder: a model folder with its tokenizer, `metrics.json`, `history.jsonl` and `run.json`.
        metrics: of the validation documents at the best checkpoint, as the task measures them.
        titles: those of them that the task names, and how each is written.
        best_step: the step of the best checkpoint, which is the model that stands in the folder.
        steps: optimizer steps, over all sessions.
        tokens: real tokens trained on, over all sessions.
        seconds: spent on training and periodic evaluation, over all sessions.
        stopped_by: "steps" where the run did all its steps, else what ended it: "time" or "early_stopping".
        truncated: training and validation documents that were cut to the maximum length.
    """

    output: Path
    metrics: dict[str, Any]
    titles: dict[str, str]
    best_step: int
    steps: int
    tokens: int
    seconds: float
    stopped_by: Literal["steps", "time", "early_stopping"]
    truncated: dict[str, int]


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return list(value)
    return value if isinstance(value, str | int | float | dict | None) else f"rows: {type(value).__name__}"
