"""What the five heads share: they receive packed rows, compute logits and loss on them, and unpack once.

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

_FORWARD = NystromformerModel.forward


class HeadModel(NystromformerPreTrainedModel):
    """A backbone and a head that turns packed hidden states into logits, and logits and labels into a loss."""

    output_class: type[ModelOutput]
    # `Trainer` then counts the labels of all batches it accumulates, and passes `num_items_in_batch`.
    accepts_loss_kwargs = True
    # Whether documents may stand end to end in a row, told apart by their position ids.
    reads_many_documents = False
    # Whether the head reads what the first layer read, `PackedStates.embedded`.
    reads_embedded = False

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
        logits, loss = self._logits_and_loss(states, labels, num_items_in_batch)
        return self._output(states, return_dict, loss=loss, logits=self.unpack(logits, states.packing))

    def logits(self, states: PackedStates) -> Tensor:
        """Packed hidden states to logits, one per row or one per document, (B, ...)."""
        raise NotImplementedError(type(self).__name__)

    def loss(self, logits: Tensor, labels: Tensor, packing: Packing, num_items: Tensor | int | None) -> Tensor:
        """The loss of what `logits` gave, a scalar, finite for any labels; for num_items see the module `losses`."""
        raise NotImplementedError(type(self).__name__)

    def unpack(self, logits: Tensor, packing: Packing) -> Tensor:
        """What `logits` gave in the caller's shape: logits per document have it already."""
        return logits

    def _logits_and_loss(
        self, states: PackedStates, labels: Tensor | None, num_items: Tensor | int | None
    ) -> tuple[Tensor, Tensor | None]:
        """Logits as rows, and their loss where there are labels."""
        logits = self.logits(states)
        return logits, None if labels is None else self.loss(logits, labels, states.packing, num_items)

    def _run_backbone(self, attention_mask: Tensor | None, position_ids: Tensor | None, **inputs: Any) -> PackedStates:
        """The backbone's packed rows, without a padded copy in between.

        Where something records, watches or replaces the backbone's call (a compiler, a hook, an offloader, another
        class), the public call is made instead, and what it returns is packed again.
        """
        inputs = {"attention_mask": attention_mask, "position_ids": position_ids, **inputs}
        if _hands_out_rows(self.nystromformer):
            states = self.nystromformer._encode(**inputs, keep_embedded=self.reads_embedded)
        else:
            states = self._call_backbone(attention_mask, inputs)
        if not self.reads_many_documents:
            check_one_document(position_ids, states.packing)
        return states

    def _call_backbone(self, attention_mask: Tensor | None, inputs: dict[str, Any]) -> PackedStates:
        """What the backbone's public call returns, packed; the first of its hidden states are the embeddings."""
        if not self.reads_embedded:
            outputs = self.nystromformer(return_dict=True, **inputs)
            embedded, hidden_states = None, outputs.hidden_states
        else:
            wanted = inputs["output_hidden_states"]
            outputs = self.nystromformer(return_dict=True, **{**inputs, "output_hidden_states": True})
            embedded = outputs.hidden_states[0]
            wanted = self.config.output_hidden_states if wanted is None else wanted
            hidden_states = outputs.hidden_states if wanted else None
        hidden = outputs.last_hidden_state
        packing = Packing.read(attention_mask, (hidden.shape[0], hidden.shape[1]))
        return PackedStates(
            packing.pack(hidden),
            packing,
            hidden_states,
            outputs.attentions,
            None if embedded is None else packing.pack(embedded),
        )

    def _output(
        self, states: PackedStates, return_dict: bool | None, **values: Tensor | None
    ) -> ModelOutput | tuple[Any, ...]:
        result = self.output_class(**values, hidden_states=states.hidden_states, attentions=states.attentions)
        return result if (self.config.return_dict if return_dict is None else return_dict) else result.to_tuple()


class TokenHeadModel(HeadModel):
    """A head that reads every real token: labels (B, N), -100 or masked where there is none."""

    reads_many_documents = True

    def loss(self, logits: Tensor, labels: Tensor, packing: Packing, num_items: Tensor | int | None) -> Tensor:
        return cross_entropy(logits, self.pack_labels(labels, packing), num_items)

    def pack_labels(self, labels: Tensor, packing: Packing) -> Tensor:
        """(B, N) labels as rows, those of masked places ignored."""
        if labels.shape != packing.shape:
            raise NysformerError(f"labels have shape {tuple(labels.shape)}: pass {packing.shape}")
        return packing.pack(labels, fill=IGNORED)

    def unpack(self, logits: Tensor, packing: Packing) -> Tensor:
        return packing.unpack(logits)


def _hands_out_rows(backbone: NystromformerModel) -> bool:
    """Whether calling the backbone is running its class's own forward, neither recorded, watched nor replaced."""
    own = type(backbone) is NystromformerModel and NystromformerModel.forward is _FORWARD
    return own and not is_recorded() and not is_hooked(backbone)
