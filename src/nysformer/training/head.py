"""The head a run starts from: the model's own where it answers the same question, else a new one."""

from dataclasses import dataclass
from typing import Any

from torch import nn
from transformers import PreTrainedTokenizerBase

from nysformer.checkpoints.adapters import is_adapter, task_class
from nysformer.checkpoints.load import load_config, load_model
from nysformer.errors import NysformerError
from nysformer.models import NystromformerConfig, NystromformerPreTrainedModel
from nysformer.models.pooling import LayersName, PoolingName
from nysformer.tasks.base import Task

__all__ = ["Head", "load_with_head", "read_head"]


@dataclass(frozen=True)
class Head:
    """What a checkpoint says of its head.

    Attributes:
        pooling: what it reads of a document, see `NystromformerConfig.classifier_pooling`.
        layers: which states it pools, see `NystromformerConfig.classifier_layers`.
        scaling: whether it standardises that, see `NystromformerConfig.classifier_scaling`.
        known: the task that it was trained for, where it is of the kind that is wanted.
        reason: why it cannot be kept whatever the documents are; None where it may be.
    """

    pooling: PoolingName
    layers: LayersName
    scaling: bool
    known: Task[Any, Any] | None = None
    reason: str | None = None


def read_head(source: str, kind: type[Task[Any, Any]], tokenizer: PreTrainedTokenizerBase | None = None) -> Head:
    """Read the head of a checkpoint from its configuration.

    Args:
        source: a model folder, an adapter's folder, or the name of a model on the hub.
        kind: the task that is wanted.
        tokenizer: of the checkpoint.

    Raises:
        NysformerError: as `load_config`; labels that name no outputs.
    """
    config = load_config(source, hub=True)
    read: dict[str, Any] = {
        "pooling": config.classifier_pooling,
        "layers": config.classifier_layers,
        "scaling": config.classifier_scaling,
    }
    architectures = [task_class(source)] if is_adapter(source) else config.architectures
    if architectures and kind.model_class.__name__ not in architectures:
        reason = f"the checkpoint has no {kind.head} head"
        return Head(**read, reason=reason)
    return Head(**read, known=kind.from_config(config, tokenizer))


def _like(layer: nn.Module, config: NystromformerConfig) -> nn.Module:
    """A new layer of that shape."""
    if isinstance(layer, nn.Linear):
        return nn.Linear(layer.in_features, layer.out_features)
    return type(layer)(config)


def load_with_head(
    source: str,
    head: Head,
    task: Task[Any, Any],
    pooling: PoolingName | None = None,
    layers: LayersName | None = None,
    *,
    probed: bool = False,
) -> tuple[NystromformerPreTrainedModel, str | None]:
    """Load a model of a task, with the checkpoint's own head if it was trained for the same labels in the same order.

    A new head is new in all its layers: one whose first layer knows other labels and whose last knows none would be
    neither.

    Args:
        source: a model folder, or the name of a model on the hub.
        head: what `read_head` says of it.
        task: of the documents.
        pooling: what the head is to read of a document; None for what the checkpoint's reads.
        layers: which states it pools; None for those of the checkpoint's. A task whose head has no choice, has "last".
        probed: the head is to be fitted as a linear probe, and needs to standardise what it reads.

    Returns:
        The model, in evaluation mode, and why its head is new; None where it is the checkpoint's.

    Raises:
        NysformerError: as `load_model`.
    """
    kind, fields = task.model_class, task.config_fields()
    reason = head.reason or (None if head.known is None else task.why_new_head(head.known))
    if pooling is not None:
        fields["classifier_pooling"] = pooling
        if reason is None and pooling != head.pooling:
            reason = f"the model's head has pooling {head.pooling!r}, and {pooling!r} is asked for"
    if not task.reads_embeddings:  # the checkpoint may be of a head that does
        fields["classifier_layers"] = "last"
    elif layers is not None:
        fields["classifier_layers"] = layers
        if reason is None and layers != head.layers:
            reason = f"the model's head has layers {head.layers!r}, and {layers!r} is asked for"
    if probed:
        fields["classifier_scaling"] = True
        if reason is None and not head.scaling:
            reason = "the model's head does not standardise what it reads, as a linear probe does"
    if reason is None:
        try:
            model = load_model(source, kind, hub=True, **fields)
            return model.requires_grad_(True), None  # a merged adapter comes frozen
        except NysformerError as error:  # without a head, or unusable, which is said below
            reason = str(error)
    fields["classifier_scaling"] = probed
    model = load_model(source, kind, hub=True, new_head=True, **fields)
    if head.known is not None:  # the checkpoint may hold weights of a head, which a new one replaces
        for name, layer in list(model.named_children()):
            if name != model.base_model_prefix:
                setattr(model, name, _like(layer, model.config).apply(model._init_weights))
        model.tie_weights()
        model.eval()
    task.prepare(model)
    return model.requires_grad_(True), reason
