"""What the five heads share: they receive packed rows, compute and take their loss on them, and unpack once.

Shapes: B batch, N padded length, T packed tokens, E hidden size.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor
from transformers.modeling_outputs import ModelOutput

from nysformer.errors import NysformerError
from nysformer.layers.watched import is_hooked
from nysformer.models.configuration import NystromformerConfig
from nysformer.models.encoder import NystromformerModel
from nysformer.models.inputs import check_one_document
from nysformer.models.losses import IGNORED, cross_entropy
from nysformer.models.packing import PackedStates, Packing
from nysformer.models.pretrained import NystromformerPreTrainedModel
from nysformer.ops import is_recorded

__all__ = ["HeadModel", "TokenHeadModel"]


class HeadModel(NystromformerPreTrainedModel):
    """A backbone and a head that turns packed hidden states into scores, and scores and labels into a loss."""

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
        states = self._encode(
            input_ids=input_ids,
            attention_mask=attention_mask,
            token_type_ids=token_type_ids,
            position_ids=position_ids,
            inputs_embeds=inputs_embeds,
            output_attentions=output_attentions,
            output_hidden_states=output_hidden_states,
            head_mask=head_mask,
        )
        scores, loss = self._answer(states, labels, num_items_in_batch)
        return self._output(states, return_dict, loss=loss, logits=self.padded(scores, states.packing))

    def _answer(
        self, states: PackedStates, labels: Tensor | None, num_items: Tensor | int | None
    ) -> tuple[Tensor, Tensor | None]:
        """The scores, and their loss where there are labels."""
        scores = self.score(states)
        return scores, None if labels is None else self.loss(scores, labels, states.packing, num_items)

    def score(self, states: PackedStates) -> Tensor:
        """What the head says of the hidden states, for each row or (B, ...) for each document."""
        raise NotImplementedError(type(self).__name__)

    def loss(self, scores: Tensor, labels: Tensor, packing: Packing, num_items: Tensor | int | None) -> Tensor:
        """The loss of what `score` gave, a scalar, finite for any labels; for num_items see the module `losses`."""
        raise NotImplementedError(type(self).__name__)

    def padded(self, scores: Tensor, packing: Packing) -> Tensor:
        """What `score` gave as the caller's logits; a score for each document is one already."""
        return scores

    def _encode(self, attention_mask: Tensor | None, position_ids: Tensor | None, **inputs: Any) -> PackedStates:
        """The backbone's packed rows.

        They come straight from it. Where something may watch or replace its call (a hook, a compiler, an offloader,
        another class), the call is made as the public one, and what it returns is packed again.
        """
        backbone = self.nystromformer
        inputs = {"attention_mask": attention_mask, "position_ids": position_ids, **inputs}
        if is_recorded() or type(backbone) is not NystromformerModel or is_hooked(backbone):
            outputs = backbone(return_dict=True, **inputs)
            hidden = outputs.last_hidden_state
            packing = Packing.read(attention_mask, (hidden.shape[0], hidden.shape[1]))
            states = PackedStates(packing.pack(hidden), packing, outputs.hidden_states, outputs.attentions)
        else:
            states = backbone._encode(**inputs)
        if not self.reads_many_documents:
            check_one_document(position_ids, states.packing)
        return states

    def _output(
        self, states: PackedStates, return_dict: bool | None, **values: Tensor | None
    ) -> ModelOutput | tuple[Any, ...]:
        result = self.output_class(**values, hidden_states=states.hidden_states, attentions=states.attentions)
        return result if (self.config.return_dict if return_dict is None else return_dict) else result.to_tuple()


class TokenHeadModel(HeadModel):
    """A head that reads every real token: labels (B, N), -100 or masked where nothing is asked."""

    reads_many_documents = True

    def loss(self, scores: Tensor, labels: Tensor, packing: Packing, num_items: Tensor | int | None) -> Tensor:
        return cross_entropy(scores, self.row_labels(labels, packing), num_items)

    def row_labels(self, labels: Tensor, packing: Packing) -> Tensor:
        """(B, N) labels as rows, those of masked places ignored."""
        if labels.shape != packing.shape:
            raise NysformerError(f"labels have shape {tuple(labels.shape)}: pass {packing.shape}")
        return packing.pack(labels, fill=IGNORED)

    def padded(self, scores: Tensor, packing: Packing) -> Tensor:
        return packing.unpack(scores)
