"""The table of tasks. A task of one's own is one module and one line here."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from nysformer.errors import NysformerError

if TYPE_CHECKING:
    from nysformer.models import NystromformerPreTrainedModel
    from nysformer.tasks.base import Task

__all__ = ["TASKS", "task_class", "task_of"]

TASKS: dict[str, str] = {
    "sequence-classification": "nysformer.tasks.sequence_classification:SequenceClassification",
    "token-classification": "nysformer.tasks.token_classification:TokenClassification",
    "question-answering": "nysformer.tasks.question_answering:QuestionAnswering",
    "multiple-choice": "nysformer.tasks.multiple_choice:MultipleChoice",
    "masked-lm": "nysformer.tasks.masked_lm:MaskedLM",
}
"""Name -> module:class."""


def task_class(name: str) -> type[Task[Any, Any]]:
    """The task of that name.

    Raises:
        NysformerError: there is none.

    Example:
        >>> task_class("multiple-choice").__name__
        'MultipleChoice'
    """
    if name not in TASKS:
        raise NysformerError(f"task: there is no {name!r}; choose {', '.join(TASKS)}")
    module, _, kind = TASKS[name].partition(":")
    found: type[Task[Any, Any]] = getattr(import_module(module), kind)
    return found


def task_of(model: NystromformerPreTrainedModel) -> type[Task[Any, Any]] | None:
    """The task whose head a model has; None for a model without a head."""
    kinds = [task_class(name) for name in TASKS]
    kinds.sort(key=lambda kind: type(model) is not kind.model_class)  # a model's own task before that of its base
    return next((kind for kind in kinds if isinstance(model, kind.model_class)), None)
