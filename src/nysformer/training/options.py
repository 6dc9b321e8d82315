"""The options of a training run, and its result."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from nysformer.data.reading import ReadOptions
from nysformer.errors import NysformerError
from nysformer.inference.options import PRECISIONS, TOKENS_PER_BATCH, Precision
from nysformer.options import (
    Choice,
    FilesOrRows,
    Flag,
    Number,
    Text,
    as_keywords,
    as_plain,
    check_options,
    declarations,
    option,
    option_class,
    required,
    share,
    whole,
)
from nysformer.tasks.reading import STRATEGIES, Strategy

__all__ = ["FinetuneOptions", "FinetuneResult", "TaskName", "TrainingOptions"]

TaskName = Literal["sequence-classification", "token-classification", "question-answering", "multiple-choice"]
ProblemType = Literal["regression", "single_label_classification", "multi_label_classification"]

# Options that may change on resume; everything else shapes the numbers and must stay.
_FREE_ON_RESUME = {
    *("model", "train", "valid", "output", "text_column", "label_column"),
    *("input_format", "delimiter", "encoding", "label_from", "all_files"),  # the documents themselves are compared
    *("epochs", "max_steps", "time_limit", "early_stopping", "gradient_checkpointing", "resume", "overwrite"),
}
# What runs recorded before None stood for it.
_WAS = {"best_metric": "macro_f1"}


@option_class
@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingOptions(ReadOptions):
    """The settings of one training run, whatever it trains. Lengths and budgets are in tokens."""

    output: str = required(
        Text(), metavar="DIR", panel="Model and output", help="Run folder; it becomes a model folder."
    )
    resume: bool = option(
        False,
        Flag(),
        panel="Model and output",
        help="Go on with the run in `output` at its last checkpoint, with the losses it would have had.",
    )
    overwrite: bool = option(False, Flag(), panel="Model and output", help="Replace an earlier run in `output`.")
    train: Any = required(
        FilesOrRows(),
        metavar="FILE...",
        panel="Documents",
        help="Documents to train on: JSON Lines, CSV, TSV, Parquet (.gz too); text files, labelled by the folder they "
        "lie in; folders of such.",
    )
    valid: Any = option(
        (),
        FilesOrRows(),
        metavar="FILE...",
        panel="Documents",
        help="Documents to choose the best checkpoint by. This or `valid_fraction` is needed.",
    )
    valid_fraction: float | None = option(
        None,
        share(zero=False),
        metavar="SHARE",
        panel="Documents",
        formerly="valid_share",
        help="Hold out this share of the training documents instead, label by label.",
    )
    max_length: int | None = option(
        None,
        whole(1),
        metavar="TOKENS",
        panel="Documents",
        show_default="as many as the model has positions",
        help="Tokens that the model reads at once; the rest of a longer document is cut.",
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
        whole(1),
        metavar="NUMBER",
        panel="Training",
        help="Optimizer steps; the earliest of this, `epochs` and `time_limit` ends the run.",
    )
    time_limit: float | None = option(
        None,
        Number(0, 1_000_000, open_low=True),
        metavar="MINUTES",
        panel="Training",
        help="Minutes of training and evaluation, over all sessions of the run: it then stops, evaluates and saves. The "
        "learning rate falls in time for it.",
    )
    learning_rate: float = option(
        5e-5, Number(0, open_low=True), metavar="RATE", panel="Training", help="Highest rate, of AdamW."
    )
    weight_decay: float = option(
        0.01, Number(0, 1_000), metavar="NUMBER", panel="Training", help="Of all but biases and norms."
    )
    warmup_ratio: float = option(
        0.1,
        share(zero=True),
        metavar="SHARE",
        panel="Training",
        formerly="warmup_share",
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
        help="Of new weights, order, dropout and held-out share.",
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
        train, valid = (not (isinstance(data, tuple) and not data) for data in (self.train, self.valid))
        if not train:
            raise NysformerError("train: no training documents; name files or folders")
        if not valid and self.valid_fraction is None:
            raise NysformerError("valid: no validation documents; name files or folders, or hold out a share of train")
        if valid and self.valid_fraction is not None:
            raise NysformerError("valid_fraction: validation documents are given already; leave out one of the two")
        for name in ("group_column", "group_near_duplicates"):
            if valid and getattr(self, name, None):
                raise NysformerError(
                    f"{name}: nothing is held out, because validation documents are given; leave it out"
                )
        if self.resume and self.overwrite:
            raise NysformerError("resume and overwrite exclude each other; leave out one of the two")

    def read_options(self) -> ReadOptions:
        """How the files are read."""
        return ReadOptions(**as_keywords(self, of=ReadOptions))

    def as_json(self) -> dict[str, Any]:
        """The options as they stand in `run.json`; documents in memory are described."""
        return as_plain(self)

    def check_resumable(self, before: dict[str, Any]) -> None:
        """Compare with the options a run began with, which `as_json` gave.

        Raises:
            NysformerError: one differs that would change the losses.
        """
        former = {each.formerly: each.name for each in declarations(self)}
        before = {former.get(name, name): value for name, value in before.items()}
        for name, value in self.as_json().items():
            if name in _FREE_ON_RESUME or name not in before:
                continue
            if before[name] != value and not (value is None and before[name] == _WAS.get(name)):
                raise NysformerError(
                    f"{self.output}: {name} is {value!r}, but the run began with {before[name]!r}; "
                    "resume with the run's own settings or begin a new run"
                )


@option_class
@dataclass(frozen=True, slots=True, kw_only=True)
class FinetuneOptions(TrainingOptions):
    """The settings of one fine-tuning run. Lengths and budgets are in tokens."""

    model: str = required(
        Text(),
        metavar="DIR|ID",
        panel="Model and output",
        help="Nyströmformer to begin with: a folder with its tokenizer, or a name on the Hugging Face hub.",
    )
    task: TaskName | None = option(
        None,
        Choice(get_args(TaskName)),
        metavar="TASK",
        panel="Model and output",
        show_default="by the columns, else sequence-classification",
        help="What is asked of a document. sequence-classification: its label. token-classification: its words' tags. "
        "question-answering: the span that answers a question. multiple-choice: one of several texts.",
    )
    problem_type: ProblemType | None = option(
        None,
        Choice(get_args(ProblemType)),
        metavar="TYPE",
        panel="Model and output",
        show_default="by the labels",
        help="Of sequence classification: single_label_classification, multi_label_classification or regression.",
    )
    group_near_duplicates: bool = option(
        False,
        Flag(),
        panel="Documents",
        help="With `valid_fraction`: versions of one text stay on one side.",
    )
    reading: Strategy | None = option(
        None,
        Choice(STRATEGIES),
        metavar="STRATEGY",
        panel="Documents",
        show_default="whole",
        help="What is read of a document longer than `max_length`. whole, head: its beginning. tail: its end. head+tail: "
        "half of either. windows: all of it, in overlapping windows. key-sentences: its most central sentences.",
    )
    overlap: float = option(
        0.25,
        share(zero=True),
        metavar="SHARE",
        panel="Documents",
        help="Share of a window that the next one repeats.",
    )
    class_weights: Literal["balanced"] | None = option(
        None,
        Choice(("balanced",), none="none"),
        panel="Training",
        help="balanced: rare labels weigh more in the loss. Validation counts every document alike.",
    )
    best_metric: str | None = option(
        None,
        Text(),
        metavar="METRIC",
        panel="Evaluation and choice of the model",
        show_default="the task's first, such as macro_f1",
        help="The best checkpoint by this metric of the task, or by the loss, becomes the model.",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class FinetuneResult:
    """How a run ended.

    Attributes:
        output: the run folder: a model folder with its tokenizer, `metrics.json`, `history.jsonl` and `run.json`.
        metrics: of the validation documents at the best checkpoint, see `classification_metrics`.
        best_step: the step of the best checkpoint, which is the model that stands in the folder.
        steps: optimizer steps, over all sessions.
        tokens: real tokens trained on, over all sessions.
        seconds: spent on training and periodic evaluation, over all sessions.
        stopped_by: "steps" where the run did all its steps, else what ended it: "time" or "early_stopping".
        truncated: training and validation documents that were cut to the maximum length.
    """

    output: Path
    metrics: dict[str, Any]
    best_step: int
    steps: int
    tokens: int
    seconds: float
    stopped_by: Literal["steps", "time", "early_stopping"]
    truncated: dict[str, int]
