"""The five task heads on the backbone. One base reads the batch; a head says what it makes of the hidden states.

Shapes: B batch, C choices, N padded length, T packed tokens, E hidden size, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from transformers import initialization as init
from transformers.modeling_outputs import (
    BaseModelOutput,
    MaskedLMOutput,
    ModelOutput,
    MultipleChoiceModelOutput,
    QuestionAnsweringModelOutput,
    SequenceClassifierOutput,
    TokenClassifierOutput,
)

from nysformer.errors import NysformerError
from nysformer.layers import project
from nysformer.models.configuration import NystromformerConfig
from nysformer.models.encoder import NystromformerModel, activation_function
from nysformer.models.inputs import (
    batch_layout,
    check_one_document,
    check_tensors,
    first_tokens,
    read_mask,
    unpack_masked,
)
from nysformer.models.losses import IGNORED, cross_entropy, sequence_loss, span_loss
from nysformer.models.pretrained import NystromformerPreTrainedModel

__all__ = [
    "NystromformerForMaskedLM",
    "NystromformerForMultipleChoice",
    "NystromformerForQuestionAnswering",
    "NystromformerForSequenceClassification",
    "NystromformerForTokenClassification",
]


class HeadModel(NystromformerPreTrainedModel):
    """A backbone and a head that turns hidden states into logits, and logits and labels into a loss."""

    output_class: type[ModelOutput]
    # `Trainer` then counts the labels of all batches it accumulates, and passes `num_items_in_batch`.
    accepts_loss_kwargs = True
    # Whether documents may stand end to end in a row, told apart by their position ids.
    reads_many_documents = False

    def __init__(self, config: NystromformerConfig) -> None:
        super().__init__(config)
        self.nystromformer = NystromformerModel(config)

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
        """Run the backbone and the head; for the arguments see `NystromformerModel.forward`.

        Args:
            labels: what the loss is taken against; shape and meaning are the head's, see its class.
            num_items_in_batch: what the summed loss is divided by; None for the number of labels in this batch that
                count, which makes the loss their mean. With gradient accumulation, pass the number of labels of all
                accumulated batches, as transformers' `Trainer` does: their gradients then add up to those of one large
                batch.

        Returns:
            The head's output with loss (where labels are given), logits, hidden_states, attentions.
        """
        outputs, logits, mask = self._run(
            input_ids=input_ids,
            attention_mask=attention_mask,
            token_type_ids=token_type_ids,
            position_ids=position_ids,
            inputs_embeds=inputs_embeds,
            output_attentions=output_attentions,
            output_hidden_states=output_hidden_states,
            head_mask=head_mask,
        )
        loss = None if labels is None else self.loss(logits, labels, mask, num_items_in_batch)
        return self._output(outputs, return_dict, loss=loss, logits=logits)

    def _run(self, attention_mask: Tensor | None, **inputs: Any) -> tuple[BaseModelOutput, Tensor, Tensor | None]:
        """The backbone's output, the head's logits, and the mask as bool."""
        outputs = self.nystromformer(attention_mask=attention_mask, return_dict=True, **inputs)
        hidden = outputs.last_hidden_state
        shape = (hidden.shape[0], hidden.shape[1])
        mask = read_mask(attention_mask, shape)
        if not self.reads_many_documents:
            check_one_document(inputs["position_ids"], mask, shape)
        return outputs, self.logits(hidden, mask), mask

    def logits(self, hidden: Tensor, mask: Tensor | None) -> Tensor:
        """(B, N, E) hidden states and the (B, N) mask, True where a token is real, to logits."""
        raise NotImplementedError(type(self).__name__)

    def loss(self, logits: Tensor, labels: Tensor, mask: Tensor | None, num_items: Tensor | int | None) -> Tensor:
        """The loss of what `logits` gave, a scalar, finite for any labels; for num_items see the module `losses`."""
        raise NotImplementedError(type(self).__name__)

    def _output(
        self, outputs: BaseModelOutput, return_dict: bool | None, **values: Tensor | None
    ) -> ModelOutput | tuple[Any, ...]:
        result = self.output_class(**values, hidden_states=outputs.hidden_states, attentions=outputs.attentions)
        return result if (self.config.return_dict if return_dict is None else return_dict) else result.to_tuple()


class TokenHeadModel(HeadModel):
    """A head that reads every real token: labels (B, N), -100 or masked where nothing is asked."""

    reads_many_documents = True

    def loss(self, logits: Tensor, labels: Tensor, mask: Tensor | None, num_items: Tensor | int | None) -> Tensor:
        if labels.shape != logits.shape[:2]:
            raise NysformerError(f"labels have shape {tuple(labels.shape)}: pass {tuple(logits.shape[:2])}")
        return cross_entropy(logits, labels if mask is None else labels.masked_fill(~mask, IGNORED), num_items)


def on_tokens(head: Callable[[Tensor], Tensor], hidden: Tensor, mask: Tensor | None, *, lowest: bool = False) -> Tensor:
    """Apply a head to the real tokens of (B, N, E) only; elsewhere 0, or the lowest number that its output can hold."""
    layout = batch_layout((hidden.shape[0], hidden.shape[1]), mask)
    rows = head(layout.pack(hidden))  # under autocast of another dtype than `hidden`
    return unpack_masked(rows, layout, mask, torch.finfo(rows.dtype).min if lowest else 0.0)


class PredictionTransform(nn.Module):
    """Dense, activation, LayerNorm: (..., E) to (..., E)."""

    def __init__(self, config: NystromformerConfig) -> None:
        super().__init__()
        self.dense = nn.Linear(config.hidden_size, config.hidden_size)
        self.activation = activation_function(config.hidden_act)
        self.LayerNorm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)

    def forward(self, hidden: Tensor) -> Tensor:
        return self.LayerNorm(self.activation(project(self.dense, hidden)))


class LMPredictions(nn.Module):
    """(..., E) to (..., V). Tied: decoder.weight is the token table, decoder.bias and bias are one parameter."""

    def __init__(self, config: NystromformerConfig) -> None:
        super().__init__()
        self.transform = PredictionTransform(config)
        self.decoder = nn.Linear(config.hidden_size, config.vocab_size)
        self.bias = nn.Parameter(torch.zeros(config.vocab_size))

    def forward(self, hidden: Tensor) -> Tensor:
        return project(self.decoder, self.transform(hidden))


class MaskedLMHead(nn.Module):
    """The checkpoint's name `cls.predictions`."""

    def __init__(self, config: NystromformerConfig) -> None:
        super().__init__()
        self.predictions = LMPredictions(config)

    def forward(self, hidden: Tensor) -> Tensor:
        return self.predictions(hidden)


class NystromformerForMaskedLM(TokenHeadModel):
    """Predict masked tokens. labels (B, N) hold token ids, -100 where nothing is asked; logits are (B, N, V), zero at
    masked places."""

    output_class = MaskedLMOutput
    _tied_weights_keys = {  # noqa: RUF012
        "cls.predictions.decoder.weight": "nystromformer.embeddings.word_embeddings.weight",
        "cls.predictions.decoder.bias": "cls.predictions.bias",
    }

    def __init__(self, config: NystromformerConfig) -> None:
        super().__init__(config)
        self.cls = MaskedLMHead(config)
        self.post_init()

    def _init_weights(self, module: nn.Module) -> None:
        super()._init_weights(module)
        if isinstance(module, LMPredictions):
            init.zeros_(module.bias)

    def get_output_embeddings(self) -> nn.Linear:
        return self.cls.predictions.decoder

    def set_output_embeddings(self, new_embeddings: nn.Linear) -> None:
        predictions = self.cls.predictions
        predictions.decoder = new_embeddings
        if self.config.tie_word_embeddings:
            predictions.bias = new_embeddings.bias
            return
        missing = new_embeddings.out_features - len(predictions.bias)
        resized = nn.functional.pad(predictions.bias.detach(), (0, missing))  # cut where it is negative
        predictions.bias = nn.Parameter(resized, requires_grad=predictions.bias.requires_grad)

    def logits(self, hidden: Tensor, mask: Tensor | None) -> Tensor:
        return on_tokens(self.cls, hidden, mask)


class ClassificationHead(nn.Module):
    """Dropout, dense, activation, dropout, projection: (B, E) to (B, labels)."""

    def __init__(self, config: NystromformerConfig) -> None:
        super().__init__()
        self.dense = nn.Linear(config.hidden_size, config.hidden_size)
        self.activation = activation_function(config.hidden_act)
        self.dropout = nn.Dropout(config.hidden_dropout_prob)
        self.out_proj = nn.Linear(config.hidden_size, config.num_labels)

    def forward(self, features: Tensor) -> Tensor:
        hidden = self.activation(project(self.dense, self.dropout(features)))
        return project(self.out_proj, self.dropout(hidden))


class NystromformerForSequenceClassification(HeadModel):
    """Classify documents by their first unmasked token, or regress.

    labels are (B,) class numbers, or (B,) or (B, num_labels) floats for regression and multi-label; the loss follows
    config.problem_type, inferred from the labels where it is unset. logits are (B, num_labels).
    """

    output_class = SequenceClassifierOutput

    def __init__(self, config: NystromformerConfig) -> None:
        super().__init__(config)
        self.classifier = ClassificationHead(config)
        self.post_init()

    def logits(self, hidden: Tensor, mask: Tensor | None) -> Tensor:
        return self.classifier(first_tokens(hidden, mask))

    def loss(self, logits: Tensor, labels: Tensor, mask: Tensor | None, num_items: Tensor | int | None) -> Tensor:
        return sequence_loss(logits, labels, self.config.problem_type, num_items)


class NystromformerForTokenClassification(TokenHeadModel):
    """Label tokens. labels (B, N), -100 ignored; logits (B, N, num_labels), zero at masked places."""

    output_class = TokenClassifierOutput

    def __init__(self, config: NystromformerConfig) -> None:
        super().__init__(config)
        self.dropout = nn.Dropout(config.hidden_dropout_prob)
        self.classifier = nn.Linear(config.hidden_size, config.num_labels)
        self.post_init()

    def logits(self, hidden: Tensor, mask: Tensor | None) -> Tensor:
        return on_tokens(lambda rows: project(self.classifier, self.dropout(rows)), hidden, mask)


class NystromformerForMultipleChoice(HeadModel):
    """Choose among C documents a question. Inputs are (B, C, N) and inputs_embeds (B, C, N, E); labels (B,) hold the
    right choice; logits are (B, C). Hidden states and maps have B * C rows."""

    output_class = MultipleChoiceModelOutput

    def __init__(self, config: NystromformerConfig) -> None:
        super().__init__(config)
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

        outputs, scores, _ = self._run(
            input_ids=flat(input_ids),
            attention_mask=flat(attention_mask),
            token_type_ids=flat(token_type_ids),
            position_ids=flat(position_ids),
            inputs_embeds=flat(inputs_embeds),
            output_attentions=output_attentions,
            output_hidden_states=output_hidden_states,
            head_mask=head_mask,
        )
        logits = scores.view(source.shape[:2])
        loss = None if labels is None else cross_entropy(logits, labels, num_items_in_batch)
        return self._output(outputs, return_dict, loss=loss, logits=logits)

    def logits(self, hidden: Tensor, mask: Tensor | None) -> Tensor:
        return project(self.classifier, project(self.pre_classifier, first_tokens(hidden, mask)).relu())


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
        outputs, logits, mask = self._run(
            input_ids=input_ids,
            attention_mask=attention_mask,
            token_type_ids=token_type_ids,
            position_ids=position_ids,
            inputs_embeds=inputs_embeds,
            output_attentions=output_attentions,
            output_hidden_states=output_hidden_states,
            head_mask=head_mask,
        )
        start, end = logits.unbind(dim=-1)
        loss = None
        if start_positions is not None and end_positions is not None:
            loss = span_loss(start, end, start_positions, end_positions, mask, num_items_in_batch)
        return self._output(outputs, return_dict, loss=loss, start_logits=start, end_logits=end)

    def logits(self, hidden: Tensor, mask: Tensor | None) -> Tensor:
        return on_tokens(lambda rows: project(self.qa_outputs, rows), hidden, mask, lowest=True)
