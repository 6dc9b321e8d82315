"""The head a run starts from: the model's own where it answers the same question, else a new one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nysformer.checkpoints.adapters import adapter_base, is_adapter, saved_labels, task_class
from nysformer.checkpoints.load import load_classifier
from nysformer.data.labels import UnusableLabel, normal_label
from nysformer.errors import NysformerError
from nysformer.models import NystromformerConfig, NystromformerForSequenceClassification

__all__ = ["Head", "load_with_head", "read_head"]

_SINGLE_LABEL = "single_label_classification"
_SHOWN = 10


@dataclass(frozen=True)
class Head:
    """What a checkpoint says of its classification head.

    Attributes:
        labels: the names of its outputs, in their order, spelled as the documents' are (see
            `nysformer.data.labels.normal_label`); none where the head cannot be kept whatever the documents are.
        reason: why it cannot be kept; None where it can.
        replaced: whether the checkpoint may hold weights of a head, which a new one replaces.
    """

    labels: tuple[str, ...] = ()
    reason: str | None = None
    replaced: bool = True


def read_head(source: str) -> Head:
    """Read the head of a checkpoint from its configuration, which `check_model` found to be there.

    Args:
        source: a model folder, an adapter's folder, or the name of a model on the hub.
    """
    settings, _ = NystromformerConfig.get_config_dict(adapter_base(source) if is_adapter(source) else source)
    if is_adapter(source):
        settings |= {"architectures": [task_class(source)], **saved_labels(source)}
    architectures = settings.get("architectures")
    if isinstance(architectures, list) and NystromformerForSequenceClassification.__name__ not in architectures:
        return Head(reason="the checkpoint has no classification head", replaced=False)
    problem = settings.get("problem_type")
    if problem not in (None, _SINGLE_LABEL):
        return Head(reason=f"the model's head is for {str(problem).replace('_', ' ')}")
    labels = _names(settings.get("id2label"))
    if not labels:
        return Head(reason="the model does not name the outputs of its head")
    return Head(labels)


def _names(id2label: Any) -> tuple[str, ...]:
    """Label names, spelled as the documents' are, in the order of their numbers 0, 1, ...; none where they are not."""
    if not isinstance(id2label, Mapping):
        return ()
    try:
        names = {str(key): normal_label(name) for key, name in id2label.items()}
    except UnusableLabel:
        return ()
    numbers = [str(number) for number in range(len(names))]
    if set(names) != set(numbers) or len(set(names.values())) != len(names):
        return ()
    return tuple(names[number] for number in numbers)


def load_with_head(
    source: str, head: Head, labels: Sequence[str]
) -> tuple[NystromformerForSequenceClassification, str | None]:
    """Load a classifier of `labels`, with the checkpoint's own head if its labels are the same, in the same order.

    A new head is new in all its layers: one whose first layer knows other labels and whose last knows none would be
    neither.

    Args:
        source: a model folder, or the name of a model on the hub.
        head: what `read_head` says of it.
        labels: of the documents; in the order of the head's where they are the same.

    Returns:
        The model, in evaluation mode, and why its head is new; None where it is the checkpoint's.

    Raises:
        NysformerError: as `load_classifier`.
    """
    names: dict[str, Any] = {
        "id2label": dict(enumerate(labels)),
        "label2id": {name: index for index, name in enumerate(labels)},
        "problem_type": _SINGLE_LABEL,
    }
    reason = head.reason
    if reason is None and head.labels != tuple(labels):
        reason = f"the model's labels are {_some(head.labels)}; the documents have {_some(labels)}"
    if reason is None:
        try:
            model = load_classifier(source, hub=True, **names)
            return model.requires_grad_(True), None  # a merged adapter comes frozen
        except NysformerError as error:  # without a head, or unusable, which is said below
            reason = str(error)
    model = load_classifier(source, hub=True, new_head=True, **names)
    if head.replaced:
        model.classifier = type(model.classifier)(model.config)
        model.classifier.apply(model._init_weights)
        model.eval()
    return model.requires_grad_(True), reason


def _some(labels: Sequence[str]) -> str:
    return ", ".join(labels[:_SHOWN]) + (", ..." if len(labels) > _SHOWN else "")
