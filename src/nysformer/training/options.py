"""What a fine-tuning run is told, and what it answers."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from nysformer.data.reader import ReadOptions
from nysformer.errors import NysformerError

__all__ = ["FinetuneOptions", "FinetuneResult"]

# What a resumed run may be told anew; everything else shapes the numbers and must stay.
_FREE_ON_RESUME = {
    *("model", "train", "valid", "output", "text_column", "label_column"),
    *("delimiter", "encoding", "label_from", "all_files"),  # the documents themselves are compared
    *("epochs", "max_steps", "time_limit", "gradient_checkpointing", "resume", "overwrite"),
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
        delimiter, encoding, label_from, all_files: how files are read, see `nysformer.data.reader.ReadOptions`.
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
        log_every: steps between two entries of the training curve.
        seed: of the new head, the order of documents, dropout, and the held-out share.
        resume: take the run in `output` up at its last checkpoint; its losses are then those of a run that was never
            interrupted.
        overwrite: replace an earlier run in `output`.
    """

    model: str
    train: tuple[str, ...]
    output: str
    valid: tuple[str, ...] = ()
    text_column: str = "text"
    label_column: str = "label"
    delimiter: str | None = None
    encoding: str | None = None
    label_from: Literal["top", "parent"] = "top"
    all_files: bool = False
    valid_share: float | None = None
    group_column: str | None = None
    group_near_duplicates: bool = False
    max_length: int | None = None
    tokens_per_batch: int = 8192
    epochs: float | None = None
    max_steps: int | None = None
    time_limit: float | None = None
    learning_rate: float = 5e-5
    weight_decay: float = 0.01
    warmup_share: float = 0.1
    max_grad_norm: float = 1.0
    class_weights: Literal["balanced"] | None = None
    bf16: bool = False
    gradient_checkpointing: bool = False
    eval_dtype: Literal["float32", "bfloat16", "int8"] | None = None
    eval_per_epoch: int = 1
    eval_steps: int | None = None
    best_metric: Literal["macro_f1", "accuracy", "loss"] = "macro_f1"
    log_every: int = 10
    seed: int = 0
    resume: bool = False
    overwrite: bool = False

    def __post_init__(self) -> None:
        """Refuse what cannot be meant.

        Raises:
            NysformerError: with the option and the range it may have.
        """
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
        positive = ("max_length", "tokens_per_batch", "epochs", "max_steps", "time_limit", "learning_rate")
        for name in (*positive, "eval_per_epoch", "eval_steps", "log_every"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise NysformerError(f"{name}: {value} is not above 0")
        for name in ("weight_decay", "max_grad_norm", "seed"):
            if not getattr(self, name) >= 0:
                raise NysformerError(f"{name}: {getattr(self, name)} is below 0")
        if not 0 <= self.warmup_share < 1:
            raise NysformerError(f"warmup_share: {self.warmup_share} is not a share from 0 to below 1")
        if self.valid_share is not None and not 0 < self.valid_share < 1:
            raise NysformerError(f"valid_share: {self.valid_share} is not a share between 0 and 1")
        for name, known in (
            ("best_metric", ("macro_f1", "accuracy", "loss")),
            ("class_weights", (None, "balanced")),
            ("eval_dtype", (None, "float32", "bfloat16", "int8")),
        ):
            if getattr(self, name) not in known:
                words = ", ".join(str(value) for value in known if value)
                raise NysformerError(f"{name}: {getattr(self, name)!r} is unknown; there is {words}")

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
        stopped_by: "time" where the time limit ended the run, else "steps".
        truncated: training and validation documents that were cut to the maximum length.
    """

    output: Path
    metrics: dict[str, Any]
    best_step: int
    steps: int
    tokens: int
    seconds: float
    stopped_by: Literal["steps", "time"]
    truncated: dict[str, int]
