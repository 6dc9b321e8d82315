"""Configuration, backbone, five heads: the only floor that knows transformers' model classes."""

from nysformer.models.configuration import NystromformerConfig
from nysformer.models.encoder import NystromformerLayer, NystromformerModel
from nysformer.models.heads import (
    NystromformerForMaskedLM,
    NystromformerForMultipleChoice,
    NystromformerForQuestionAnswering,
    NystromformerForSequenceClassification,
    NystromformerForTokenClassification,
)
from nysformer.models.pretrained import NystromformerPreTrainedModel
from nysformer.models.registration import register, unregister

__all__ = [
    "NystromformerConfig",
    "NystromformerForMaskedLM",
    "NystromformerForMultipleChoice",
    "NystromformerForQuestionAnswering",
    "NystromformerForSequenceClassification",
    "NystromformerForTokenClassification",
    "NystromformerLayer",
    "NystromformerModel",
    "NystromformerPreTrainedModel",
    "register",
    "unregister",
]
