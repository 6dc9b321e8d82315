"""The options of fine-tuning."""

from dataclasses import dataclass
from typing import Any, Literal, get_args

from nysformer.errors import NysformerError
from nysformer.options import Choice, Flag, Number, Text, option, option_class, required, share, whole
from nysformer.tasks.class_weights import ClassWeights
from nysformer.tasks.labels import PROBLEM_TYPES, ProblemType
from nysformer.tasks.registry import TASKS
from nysformer.training.settings import TrainingOptions

__all__ = ["FinetuneOptions"]

_PRETRAINED = "masked-lm"


class _TaskName:
    """The name of a task, see `nysformer.tasks.registry.TASKS`."""

    def read(self, name: str, value: Any) -> str:
        if value not in TASKS:
            known = ", ".join(task for task in TASKS if task != _PRETRAINED)
            raise NysformerError(f"{name}: {value!r} is unknown; there is {known}")
        if value == _PRETRAINED:
            raise NysformerError(
                f"{name}: {value} is trained by `nysformer pretrain` (in Python: nysformer.pretrain), which has the "
                "options of masking and begins with a model, too"
            )
        return str(value)


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
    task: str = option(
        "sequence-classification",
        _TaskName(),
        metavar="TASK",
        panel="Model and output",
        help="What is asked of a document. sequence-classification: its label, its labels or its number. "
        "token-classification: tags of its words, or labelled spans. question-answering: the span that answers a "
        "question. multiple-choice: one of several texts. Masked words: `nysformer pretrain`.",
    )
    problem_type: ProblemType | None = option(
        None,
        Choice(PROBLEM_TYPES),
        metavar="TYPE",
        panel="Model and output",
        show_default="by the labels",
        help="Of sequence classification: single_label_classification, multi_label_classification or regression. By "
        "the labels, lists are several labels, numbers with a fraction a regression, anything else is one label.",
    )
    pooling: Literal["first", "mean", "attention"] | None = option(
        None,
        Choice(("first", "mean", "attention")),
        panel="Model and output",
        show_default="the model's own",
        help="What the head of sequence classification and multiple choice reads of a document. first: its first "
        "token. mean: the mean of all tokens. attention: a mean with learned weights. Another than the model's own "
        "makes its head new.",
    )
    probe_first: bool = option(
        False,
        Flag(),
        panel="Training",
        help="Begin with a head that is fitted to the encoder as it is, a linear probe: all training documents are "
        "read once, and scikit-learn fits a logistic regression (for numbers: a ridge regression) whose strength is "
        "chosen by folds of them, by group where there are groups. With `max_steps` 0 that is the model.",
    )
    final_whole: float = option(
        0.0,
        share(zero=True),
        metavar="SHARE",
        panel="Training",
        help="In the last share of the run, read whole documents, as long as the model has positions, in place of what "
        "`reading` and `max_length` say; documents are then measured, and later predicted, whole. 0: never.",
    )
    adapt_steps: int = option(
        0,
        whole(0),
        metavar="NUMBER",
        panel="Training",
        help="Begin with so many steps in which the encoder predicts masked words of the training documents. They "
        "count against `time_limit`, half of which they may take.",
    )
    adapt_learning_rate: float = option(
        3e-4,
        Number(0, open_low=True),
        metavar="RATE",
        panel="Training",
        help="With `adapt_steps`: highest rate of those steps.",
    )
    freeze_embeddings: bool = option(
        False,
        Flag(),
        panel="Training",
        help="Leave the tables of words, positions and types as they are, which also makes a step cheaper.",
    )
    layer_decay: float = option(
        1.0,
        Number(0, 1, open_low=True),
        metavar="FACTOR",
        panel="Training",
        help="Each layer learns at the rate of the one above it times this: the head at `learning_rate`, the top layer "
        "at FACTOR times it, the embeddings slowest. 1: all alike.",
    )
    class_weights: ClassWeights | None = option(
        None,
        Choice(get_args(ClassWeights), none="none"),
        panel="Training",
        help="How much more rare labels weigh in the loss. sqrt: by the inverse square root of their frequency. "
        "balanced: by its inverse. Validation counts every document alike.",
    )

    @property
    def probes(self) -> bool:
        """See `TrainingOptions.probes`."""
        return self.probe_first
