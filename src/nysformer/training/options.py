"""The options of a fine-tuning run, and its result."""

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from nysformer.data.reader import ReadOptions
from nysformer.errors import NysformerError
from nysformer.models.ranges import Choice, Flag, Number, Text, Texts, allows, check_options, option, share, whole
from nysformer.runtime.precision import PRECISIONS

__all__ = ["FinetuneOptions", "FinetuneResult"]

BEST_METRICS = ("macro_f1", "accuracy", "loss")

# Options that may change on resume; everything else shapes the numbers and must stay.
_FREE_ON_RESUME = {
    *("model", "train", "valid", "output", "text_column", "label_column"),
    *("delimiter", "encoding", "label_from", "all_files"),  # the documents themselves are compared
    *("epochs", "max_steps", "time_limit", "early_stopping", "gradient_checkpointing", "resume", "overwrite"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class FinetuneOptions:
    """The settings of one run of sequence classification. Lengths and budgets are in tokens.

    Attributes:
        model: a Nyströmformer folder with its tokenizer, or a name on the hub.
        train: labelled files or folders (see `nysformer.data.documents.load_documents`).
        valid: the same, to choose the best checkpoint by; if empty, `valid_share` of `train` is held out.
        output: the run folder, which becomes a model folder.
        text_column: column of the text.
        label_column: column of the label.
        delimiter: between the cells of CSV; this and the next three as in `nysformer.data.reader.ReadOptions`.
        encoding: of the files; None for UTF-8.
        label_from: "top" labels a text file by the first folder below its source, "parent" by the folder it lies in.
        all_files: in folders, read files of an unknown suffix, or of none, as text.
        valid_share: between 0 and 1, stratified by label (see `nysformer.data.holdout.hold_out`).
        group_column: with `valid_share`, the column that says which documents belong together, such as a thread or an
            author: they are never on both sides. A document without a value stands by itself.
        group_near_duplicates: with `valid_share`, versions of one text are never on both sides (see
            `nysformer.data.groups.near_duplicate_groups`).
        max_length: a longer document loses its end; None for all that the model can read.
        tokens_per_batch: real tokens a step; a document longer than that rides alone.
        epochs: passes over the training documents, may be a fraction; 3 if neither this nor `max_steps` is given.
        max_steps: optimizer steps; the earlier of the two ends the run.
        time_limit: minutes of training and periodic evaluation, over all sessions of the run; at the end of it the
            run stops, evaluates and saves. The learning rate then decays with the larger of the share of the steps and
            the share of the time.
        learning_rate: the highest, of AdamW.
        weight_decay: of AdamW, on all but biases and norms.
        warmup_share: the share of the run in which the learning rate rises, linearly; then it falls linearly to 0.
        max_grad_norm: gradients are clipped to this norm; 0 for no clipping.
        class_weights: "balanced" weighs a document's training loss with documents / (labels * documents of its
            label); validation counts every document alike.
        bf16: bfloat16 autocast.
        gradient_checkpointing: keep each layer's input alone and run the layer again in the backward pass: longer
            steps, in much less memory.
        eval_dtype: "bfloat16" or "int8" evaluates, during the run, a copy of the model that `nysformer.optimize` made
            ("int8" with bfloat16 around the products where the processor has it), "float32" the like in single
            precision; None evaluates as it trains. On a CPU only.
        eval_per_epoch: evaluations, and checkpoints, an epoch.
        eval_steps: evaluate every so many steps instead.
        best_metric: of the validation documents, by which the best checkpoint is chosen.
        early_stopping: end the run after this many evaluations in a row without a better `best_metric`; None never
            does.
        log_every: steps between two entries of the training curve.
        seed: of the new head, the order of documents, dropout, and the held-out share.
        resume: take the run in `output` up at its last checkpoint; its losses are then those of a run that was never
            interrupted.
        overwrite: replace an earlier run in `output`.
    """

    model: str = field(metadata=allows(Text()))
    train: tuple[str, ...] = field(metadata=allows(Texts()))
    output: str = field(metadata=allows(Text()))
    valid: tuple[str, ...] = option((), Texts())
    text_column: str = option("text", Text())
    label_column: str = option("label", Text())
    delimiter: str | None = None
    encoding: str | None = None
    label_from: Literal["top", "parent"] = option("top", Choice(("top", "parent")))
    all_files: bool = option(False, Flag())
    valid_share: float | None = option(None, share(zero=False))
    group_column: str | None = option(None, Text())
    group_near_duplicates: bool = option(False, Flag())
    max_length: int | None = option(None, whole(1))
    tokens_per_batch: int = option(8192, whole(1))
    epochs: float | None = option(None, Number(0, 1_000_000, open_low=True))
    max_steps: int | None = option(None, whole(1))
    time_limit: float | None = option(None, Number(0, 1_000_000, open_low=True))
    learning_rate: float = option(5e-5, Number(0, open_low=True))
    weight_decay: float = option(0.01, Number(0, 1_000))
    warmup_share: float = option(0.1, share(zero=True))
    max_grad_norm: float = option(1.0, Number(0))
    class_weights: Literal["balanced"] | None = option(None, Choice(("balanced",)))
    bf16: bool = option(False, Flag())
    gradient_checkpointing: bool = option(False, Flag())
    eval_dtype: Literal["float32", "bfloat16", "int8"] | None = option(None, Choice(PRECISIONS))
    eval_per_epoch: int = option(1, whole(1))
    eval_steps: int | None = option(None, whole(1))
    best_metric: Literal["macro_f1", "accuracy", "loss"] = option("macro_f1", Choice(BEST_METRICS))
    early_stopping: int | None = option(None, whole(1))
    log_every: int = option(10, whole(1))
    seed: int = option(0, whole(0, 2**32 - 1))
    resume: bool = option(False, Flag())
    overwrite: bool = option(False, Flag())

    def __post_init__(self) -> None:
        """Refuse what cannot be meant.

        Raises:
            NysformerError: with the option, its value and the range it may have.
        """
        check_options(self)
        if not self.train:
            raise NysformerError("train: no training documents; name files or folders")
        if not self.valid and self.valid_share is None:
            raise NysformerError("valid: no validation documents; name files or folders, or hold out a share of train")
        if self.valid and self.valid_share is not None:
            raise NysformerError("valid_share: validation documents are given already; leave out one of the two")
        for name in ("group_column", "group_near_duplicates"):
            if self.valid and getattr(self, name):
                raise NysformerError(
                    f"{name}: nothing is held out, because validation documents are given; leave it out"
                )
        self.reading()  # refuses what cannot be meant
        if self.resume and self.overwrite:
            raise NysformerError("resume and overwrite exclude each other; leave out one of the two")

    def reading(self) -> ReadOptions:
        """How the files are read."""
        return ReadOptions(
            text_column=self.text_column,
            label_column=self.label_column,
            group_column=self.group_column,
            delimiter=self.delimiter,
            encoding=self.encoding,
            label_from=self.label_from,
            all_files=self.all_files,
        )

    def as_json(self) -> dict[str, Any]:
        """The options as they stand in `run.json`."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}

    def check_resumable(self, before: dict[str, Any]) -> None:
        """Compare with the options a run began with, which `as_json` gave.

        Raises:
            NysformerError: one differs that would change the losses.
        """
        for name, value in self.as_json().items():
            if name not in _FREE_ON_RESUME and name in before and before[name] != value:
                raise NysformerError(
                    f"{self.output}: {name} is {value!r}, but the run began with {before[name]!r}; "
                    "resume with the run's own settings or begin a new run"
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
