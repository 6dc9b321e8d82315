"""transformers' Auto classes: told about our classes on demand, and made to forget them again."""

from __future__ import annotations

from typing import Any

from transformers import (
    CONFIG_MAPPING,
    AutoModel,
    AutoModelForMaskedLM,
    AutoModelForMultipleChoice,
    AutoModelForQuestionAnswering,
    AutoModelForSequenceClassification,
    AutoModelForTextEncoding,
    AutoModelForTokenClassification,
)

from nysformer.models.configuration import NystromformerConfig
from nysformer.models.encoder import NystromformerModel
from nysformer.models.heads import (
    NystromformerForMultipleChoice,
    NystromformerForQuestionAnswering,
    NystromformerForSequenceClassification,
    NystromformerForTokenClassification,
)
from nysformer.models.masked_lm import NystromformerForMaskedLM

__all__ = ["register", "unregister"]

_CLASSES = (
    (AutoModel, NystromformerModel),
    (AutoModelForTextEncoding, NystromformerModel),
    (AutoModelForMaskedLM, NystromformerForMaskedLM),
    (AutoModelForSequenceClassification, NystromformerForSequenceClassification),
    (AutoModelForMultipleChoice, NystromformerForMultipleChoice),
    (AutoModelForTokenClassification, NystromformerForTokenClassification),
    (AutoModelForQuestionAnswering, NystromformerForQuestionAnswering),
)

# transformers keeps what is registered in a dictionary that lies over its own names, and offers no way to take anything
# out of it again: `unregister` puts back what each of these dictionaries held under our key.
_TABLES: tuple[tuple[dict[Any, Any], Any, Any], ...] = (
    (CONFIG_MAPPING._extra_content, NystromformerConfig.model_type, NystromformerConfig),
    *((auto._model_mapping._extra_content, NystromformerConfig, model) for auto, model in _CLASSES),
)
_NOTHING = object()
_before: list[Any] = []


def register() -> None:
    """Let `AutoConfig`, `AutoModel` and the `AutoModelFor...` of the five heads give this library's classes.

    They then do so for every folder or hub name of model type "nystromformer", and so do the pipelines and whatever
    else asks an Auto class. Without it they give transformers' own Nyströmformer, silently even for a configuration of
    ours (`AutoModel.from_config(our_config)`), since they go by the name of its class. Calling it twice changes
    nothing; `unregister` undoes it.

    Example:
        >>> from transformers import AutoModel
        >>> config = NystromformerConfig(hidden_size=32, num_hidden_layers=1, num_attention_heads=2)
        >>> type(AutoModel.from_config(config)).__module__.split(".")[0]
        'transformers'
        >>> register()
        >>> type(AutoModel.from_config(config)).__module__.split(".")[0]
        'nysformer'
        >>> unregister()
    """
    if _before:
        return
    for table, key, value in _TABLES:
        _before.append(table.get(key, _NOTHING))
        table[key] = value


def unregister() -> None:
    """Put back what the Auto classes gave before `register`; without that nothing happens."""
    if not _before:
        return
    for (table, key, _), old in zip(_TABLES, _before, strict=True):
        if old is _NOTHING:
            table.pop(key, None)
        else:
            table[key] = old
    _before.clear()
