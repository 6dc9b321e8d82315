"""Four of the five task heads; `masked_lm` has the other. Each turns packed hidden states into logits.

Shapes: B batch, C choices, N padded length, E hidden size.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from transformers.modeling_outputs import (
    ModelOutput,
    MultipleChoiceModelOutput,
    QuestionAnsweringModelOutput,
    SequenceClassifierOutput,
    TokenClassifierOutput,
)

from nysformer.errors import NysformerError
from nysformer.layers import project
from nysformer.models.configuration import NystromformerConfig
from nysformer.models.encoder import activation_function
from nysformer.models.head_model import HeadModel, TokenHeadModel
from nysformer.models.inputs import check_tensors
from nysformer.models.losses import cross_entropy, sequence_loss, span_loss
from nysformer.models.packing import PackedStates, Packing
from nysformer.models.pooling import FeatureScaling, Pooling

__all__ = [
    "NystromformerForMultipleChoice",
    "NystromformerForQuestionAnswering",
    "NystromformerForSequenceClassification",
    "NystromformerForTokenClassification",
]


class ClassificationHead(nn.Module):
    """Dropout, dense, activation, dropout, projection: (B, F) to (B, labels), where F is E, or 2 E for two layers.

    With `config.classifier_scaling` the features are standardised first.
    """

    def __init__(self, config: NystromformerConfig) -> None:
        super().__init__()
        size = config.hidden_size * (2 if config.classifier_layers == "first+last" else 1)
        self.scaling = FeatureScaling(size) if config.classifier_scaling else None
        self.dense = nn.Linear(size, size)
        self.activation = activation_function(config.hidden_act)
        self.dropout = nn.Dropout(config.hidden_dropout_prob)
        self.out_proj = nn.Linear(size, config.num_labels)

    def forward(self, features: Tensor) -> Tensor:
        if self.scaling is not None:
            features = self.scaling(features)
        hidden = self.activation(project(self.dense, self.dropout(features)))
        return project(self.out_proj, self.dropout(hidden))


class NystromformerForSequenceClassification(HeadModel):
    """Classify documents, or regress, by what `config.classifier_pooling` makes of their tokens.

    "first" is the first unmasked token, as published; "mean" and "attention" read all of them, see `Pooling`. With
    `config.classifier_layers` "first+last" the embeddings are pooled like the last states, each with weights of its
    own, and the head reads both side by side, the embeddings first.

    labels are (B,) class numbers, or (B,) or (B, num_labels) floats for regression and multi-label; the loss follows
    config.problem_type, inferred from the labels where it is unset. logits are (B, num_labels).
    """

    output_class = SequenceClassifierOutput

    def __init__(self, config: NystromformerConfig) -> None:
        super().__init__(config)
        self.reads_embedded = config.classifier_layers == "first+last"
        self.embedding_pooling = Pooling(config) if self.reads_embedded else None
        self.pooling = Pooling(config)
        self.classifier = ClassificationHead(config)
        self.post_init()

    def features(
        self, input_ids: Tensor, attention_mask: Tensor | None = None, token_type_ids: Tensor | None = None
    ) -> Tensor:
        """What the classifier reads of each document, (B, E) or, of two layers, (B, 2 E), from (B, N) inputs as in
        `forward`."""
        states = self._run_backbone(
            input_ids=input_ids,
            attention_mask=attention_mask,
            token_type_ids=token_type_ids,
            position_ids=None,
            inputs_embeds=None,
            output_attentions=None,
            output_hidden_states=None,
            head_mask=None,
        )
        return self._pooled(states)

    def logits(self, states: PackedStates) -> Tensor:
        return self.classifier(self._pooled(states))

    def _pooled(self, states: PackedStates) -> Tensor:
        last = self.pooling(states.rows, states.packing)
        if self.embedding_pooling is None:
            return last
        return torch.cat([self.embedding_pooling(states.embedded, states.packing), last], dim=-1)

    def loss(self, logits: Tensor, labels: Tensor, packing: Packing, num_items: Tensor | int | None) -> Tensor:
        return sequence_loss(logits, labels, self.config.problem_type, num_items)


class NystromformerForTokenClassification(TokenHeadModel):
    """Label tokens. labels (B, N), -100 ignored; logits (B, N, num_labels), zero at masked places."""

    output_class = TokenClassifierOutput

    def __init__(self, config: NystromformerConfig) -> None:
        super().__init__(config)
        self.dropout = nn.Dropout(config.hidden_dropout_prob)
        self.classifier = nn.Linear(config.hidden_size, config.num_labels)
        self.post_init()

    def logits(self, states: PackedStates) -> Tensor:
        return project(self.classifier, self.dropout(states.rows))


class NystromformerForMultipleChoice(HeadModel):
    """Choose among C documents a question. Inputs are (B, C, N) and inputs_embeds (B, C, N, E); labels (B,) hold the
    right choice; logits are (B, C). Hidden states and maps have B * C rows. `config.classifier_pooling` chooses what is
    read of each; `config.classifier_layers` other than "last" is refused."""

    output_class = MultipleChoiceModelOutput

    def __init__(self, config: NystromformerConfig) -> None:
        super().__init__(config)
        if config.classifier_layers != "last":
            raise NysformerError(
                f"classifier_layers is {config.classifier_layers!r}, and multiple choice reads the last layer alone: "
                "pass classifier_layers='last'"
            )
        self.pooling = Pooling(config)
        self.pre_classifier = nn.Linear(config.hidden_size, config.hidden_size)
        self.classifier = nn.Linear(config.hidden_size, 1)
        self.post_init()

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        position_ids: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        labels: Tensor | None = None,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
        head_mask: Tensor | None = None,
        num_items_in_batch: Tensor | int | None = None,
    ) -> ModelOutput | tuple[Any, ...]:
        """As `HeadModel.forward`, with a dimension of choices after the batch."""
        check_tensors(
            input_ids=input_ids,
            attention_mask=attention_mask,
            token_type_ids=token_type_ids,
            position_ids=position_ids,
            inputs_embeds=inputs_embeds,
        )
        source, rank = (input_ids, 3) if input_ids is not None else (inputs_embeds, 4)
        if source is None or source.dim() != rank:
            raise NysformerError(
                "multiple choice reads input_ids (batch, choices, tokens) or inputs_embeds (batch, choices, tokens, "
                f"hidden_size); got {None if source is None else tuple(source.shape)}"
            )

        def flat(x: Tensor | None) -> Tensor | None:
            # Rows for all documents, (1, tokens), pass as they are; what does not fit is refused in its own shape.
            return x if x is None or x.dim() < 3 else x.flatten(0, 1)

        states = self._run_backbone(
            input_ids=flat(input_ids),
            attention_mask=flat(attention_mask),
            token_type_ids=flat(token_type_ids),
            position_ids=flat(position_ids),
            inputs_embeds=flat(inputs_embeds),
            output_attentions=output_attentions,
            output_hidden_states=output_hidden_states,
            head_mask=head_mask,
        )
        logits = self.logits(states).view(source.shape[:2])
        loss = None if labels is None else cross_entropy(logits, labels, num_items_in_batch)
        return self._output(states, return_dict, loss=loss, logits=logits)

    def logits(self, states: PackedStates) -> Tensor:
        features = self.pooling(states.rows, states.packing)
        return project(self.classifier, project(self.pre_classifier, features).relu())


class NystromformerForQuestionAnswering(HeadModel):
    """Find an answer's first and last token.

    start_positions and end_positions are (B,); start_logits and end_logits (B, N), the dtype's lowest number at masked
    places, so that no answer lies there. There are two outputs whatever config.num_labels says.
    """

    output_class = QuestionAnsweringModelOutput

    def __init__(self, config: NystromformerConfig) -> None:
        super().__init__(config)
        self.qa_outputs = nn.Linear(config.hidden_size, 2)
        self.post_init()

    def forward(  # type: ignore[override]  # two kinds of labels instead of one
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        position_ids: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        start_positions: Tensor | None = None,
        end_positions: Tensor | None = None,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
        head_mask: Tensor | None = None,
        num_items_in_batch: Tensor | int | None = None,
    ) -> ModelOutput | tuple[Any, ...]:
        """As `HeadModel.forward`, with two labels: the loss is taken where both are given."""
        states = self._run_backbone(
            input_ids=input_ids,
            attention_mask=attention_mask,
            token_type_ids=token_type_ids,
            position_ids=position_ids,
            inputs_embeds=inputs_embeds,
            output_attentions=output_attentions,
            output_hidden_states=output_hidden_states,
            head_mask=head_mask,
        )
        start, end = self.unpack(self.logits(states), states.packing).unbind(dim=-1)
        loss = None
        if start_positions is not None and end_positions is not None:
            # The softmax runs over a document's tokens, so it reads padded logits; the fill's probability is 0.
            loss = span_loss(start, end, start_positions, end_positions, states.packing.mask, num_items_in_batch)
        return self._output(states, return_dict, loss=loss, start_logits=start, end_logits=end)

    def logits(self, states: PackedStates) -> Tensor:
        return project(self.qa_outputs, states.rows)

    def unpack(self, logits: Tensor, packing: Packing) -> Tensor:
        return packing.unpack(logits, fill=torch.finfo(logits.dtype).min)
