"""Configuration, backbone, five heads, conversion: the only floor that knows transformers' model classes."""

from nysformer.models.configuration import NystromformerConfig
from nysformer.models.conversion import from_bert
from nysformer.models.encoder import NystromformerLayer, NystromformerModel
from nysformer.models.heads import (
    NystromformerForMultipleChoice,
    NystromformerForQuestionAnswering,
    NystromformerForSequenceClassification,
    NystromformerForTokenClassification,
)
from nysformer.models.masked_lm import NystromformerForMaskedLM
from nysformer.models.optimization import optimize
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
    "from_bert",
    "optimize",
    "register",
    "unregister",
]
