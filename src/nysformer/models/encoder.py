"""The backbone: embeddings and encoder layers.

Shapes: B batch, N padded length, T packed tokens, E hidden size, L layers, H heads.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn
from transformers.activations import ACT2FN
from transformers.modeling_layers import GradientCheckpointingLayer
from transformers.modeling_outputs import BaseModelOutput
from transformers.utils import logging

from nysformer.errors import NysformerError
from nysformer.layers import (
    Embeddings,
    EncoderLayer,
    Intermediate,
    ResidualOutput,
    SelfAttention,
    offset_from,
    table_rows,
)
from nysformer.models.configuration import NystromformerConfig
from nysformer.models.inputs import FIRST_POSITION, EncoderInputs, check_tensors
from nysformer.models.long_layers import Route
from nysformer.models.packing import PackedStates
from nysformer.models.pretrained import NystromformerPreTrainedModel, attention_implementation
from nysformer.ops import check_traceable, is_recorded

__all__ = ["NystromformerLayer", "NystromformerModel", "activation_function"]

logger = logging.get_logger(__name__)


def activation_function(name: str) -> Callable[[Tensor], Tensor]:
    """The activation of that name; `gelu_new` by its fused equal, the tanh form of GELU."""
    return nn.GELU(approximate="tanh") if name == "gelu_new" else ACT2FN[name]


class NystromformerLayer(GradientCheckpointingLayer, EncoderLayer):
    """One encoder layer as a configuration describes it, for the backbone or for a head of one's own.

    Args:
        config: the model's.
        layer: its number, for the heads pruned there and the settings that it overrides.

    Example:
        >>> import torch
        >>> config = NystromformerConfig(hidden_size=32, num_attention_heads=4, intermediate_size=64)
        >>> hidden, _ = NystromformerLayer(config)(torch.randn(2, 100, 32), torch.ones(2, 100))
        >>> hidden.shape
        torch.Size([2, 100, 32])
    """

    def __init__(self, config: NystromformerConfig, layer: int = 0) -> None:
        head_size = config.hidden_size // config.num_attention_heads
        num_heads = len(config.heads_left(layer))
        attention = SelfAttention(
            config.hidden_size,
            num_heads,
            head_size,
            config.nystrom_spec(layer),
            conv_kernel_size=config.conv_kernel_size,
            dropout=config.attention_probs_dropout_prob,
            implementation=attention_implementation(config._attn_implementation),
        )
        projections = (
            ResidualOutput(
                in_size,
                config.hidden_size,
                layer_norm_eps=config.layer_norm_eps,
                dropout=config.hidden_dropout_prob,
            )
            for in_size in (num_heads * head_size, config.intermediate_size)
        )
        attention_output, output = projections
        intermediate = Intermediate(
            config.hidden_size, config.intermediate_size, activation_function(config.hidden_act)
        )
        super().__init__(
            attention,
            attention_output,
            intermediate,
            output,
            chunk_size_feed_forward=config.chunk_size_feed_forward,
        )


class NystromformerEncoder(nn.Module):
    """The stack of layers, under the checkpoint's name `layer`."""

    def __init__(self, config: NystromformerConfig) -> None:
        super().__init__()
        self.layer = nn.ModuleList([NystromformerLayer(config, layer) for layer in range(config.num_hidden_layers)])
        self.exact_length = config.exact_length
        self.long_layer: nn.ModuleList | None = None
        if config.long_layers:
            self.add_long_layers(config)

    def add_long_layers(self, config: NystromformerConfig) -> None:
        """Give documents beyond `exact_length` layers of their own, which are those of the others to begin with."""
        layers = [offset_from(base, NystromformerLayer(config, layer)) for layer, base in enumerate(self.layer)]
        self.long_layer = nn.ModuleList(layers).train(self.training)

    def all_layers(self) -> list[Any]:
        """The layers of short documents, then those of long ones where they have their own."""
        return [*self.layer, *(self.long_layer or ())]

    def forward(
        self,
        hidden: Tensor,
        inputs: EncoderInputs,
        head_mask: Tensor | None,
        output_attentions: bool,
        output_hidden_states: bool,
    ) -> BaseModelOutput:
        """Rows through all layers: (T, E), or (B, N, E) while recorded; see `Packing`.

        Returns:
            last_hidden_state as rows; hidden_states and attentions padded, as the model returns them.
        """
        packing = inputs.packing
        route = Route.plan(inputs.documents, hidden, None if self.long_layer is None else self.exact_length)
        states: list[Tensor] = []
        maps: list[Tensor] = []
        for index, layer in enumerate(self.layer):
            if output_hidden_states:
                states.append(packing.unpack(hidden))
                # The next layer reads the very tensor that is returned, so that `retain_grad` on it sees a gradient.
                hidden = packing.pack(states[-1])
            mask = None if head_mask is None else head_mask[index]
            long_layer = layer if self.long_layer is None else self.long_layer[index]
            hidden, attention_map = route.run(layer, long_layer, hidden, mask, output_attentions)
            if attention_map is not None:
                maps.append(attention_map)
        if output_hidden_states:
            states.append(packing.unpack(hidden))
            hidden = packing.pack(states[-1])
        return BaseModelOutput(
            last_hidden_state=hidden,
            hidden_states=tuple(states) if output_hidden_states else None,
            attentions=tuple(maps) if output_attentions else None,
        )


class NystromformerModel(NystromformerPreTrainedModel):
    """The encoder without a head.

    Padding is free: the real tokens of a batch are packed at the door, so cost follows them and padding cannot matter.
    See `NystromformerConfig.attention_mode` for what attention runs when.

    Example:
        >>> config = NystromformerConfig(
        ...     vocab_size=100, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64
        ... )
        >>> model = NystromformerModel(config).eval()
        >>> import torch
        >>> ids = torch.randint(2, 100, (2, 300))
        >>> mask = torch.ones(2, 300)
        >>> mask[1, 77:] = 0
        >>> hidden = model(ids, mask).last_hidden_state
        >>> hidden.shape, bool(hidden[1, 77:].any())
        (torch.Size([2, 300, 32]), False)
    """

    def __init__(self, config: NystromformerConfig) -> None:
        super().__init__(config)
        absolute = config.position_embedding_type == "absolute"
        self.embeddings = Embeddings(
            config.vocab_size,
            config.hidden_size,
            config.type_vocab_size,
            num_positions=config.max_position_embeddings + FIRST_POSITION if absolute else None,
            padding_idx=config.pad_token_id,
            layer_norm_eps=config.layer_norm_eps,
            dropout=config.hidden_dropout_prob,
        )
        self.encoder = NystromformerEncoder(config)
        if config.attention_mode is None and config.resolved_attention_mode == "softmax":
            logger.warning_once(
                f"num_landmarks and segment_means_seq_len are both {config.num_landmarks}, the published switch for "
                'softmax attention: cost is quadratic. Pass attention_mode="auto" for landmarks, or "softmax" to '
                "keep this without the warning."
            )
        self.post_init()

    def add_long_layers(self) -> None:
        """Give documents that are read through landmarks layers of their own, in place.

        Their weights are offsets to those of `encoder.layer`, zero to begin with, so that nothing changes until they
        are trained; documents of at most `config.exact_length` tokens never meet them.

        Raises:
            NysformerError: the model has them already, reads every document by softmax attention, or came out of
                `optimize`.
        """
        self._refuse_if_optimized("given long layers: give them to")
        if self.config.long_layers:
            raise NysformerError("the model has long layers already: train those")
        if self.config.exact_length is None:
            raise NysformerError(
                "attention_mode is 'softmax', which reads documents of any length alike: choose 'auto'"
            )
        self.config.long_layers = True
        self.encoder.add_long_layers(self.config)

    def get_input_embeddings(self) -> nn.Embedding:
        return self.embeddings.word_embeddings

    def set_input_embeddings(self, value: nn.Embedding) -> None:
        self.embeddings.word_embeddings = value

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        position_ids: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
        head_mask: Tensor | None = None,
    ) -> BaseModelOutput | tuple[Any, ...]:
        """Encode a batch.

        Args:
            input_ids: (B, N) token ids.
            attention_mask: (B, N), bool or 0/1 of any dtype, True where a token is real; None where all are. Masked
                tokens do not exist, holes included; what stands there is never read.
            token_type_ids: (B, N) or (1, N); None for 0.
            position_ids: (B, N) or (1, N) rows of the position table, 2 .. max_position_embeddings + 1; None for each
                token's place in its row, from 2 on. They rise within a document. Where they start over at the row's
                first id a new document begins, as in the padding-free batches of `DataCollatorWithFlattening(
                position_ids_start=2)`; compiled, exported and transformed models read one document per row.
            inputs_embeds: (B, N, E) in place of input_ids.
            output_attentions: also return each layer's map, (B, H, N, N), zero at masked rows and columns. O(N^2).
            output_hidden_states: also return the L + 1 hidden states, each (B, N, E).
            return_dict: False for a tuple.
            head_mask: (H,) or (L, H), what each head's contribution is multiplied by.

        Returns:
            `BaseModelOutput`: last_hidden_state (B, N, E), exactly zero at masked places.

        Raises:
            NysformerError: shapes or ids that do not fit, a document past the position table, an implementation of
                attention that there is not, or `torch.jit.trace`. Exported and transformed models check shapes only;
                a compiled one stops with RuntimeError at position ids that are out of order.
        """
        states = self._encode(
            input_ids,
            attention_mask,
            token_type_ids,
            position_ids,
            inputs_embeds,
            output_attentions,
            output_hidden_states,
            head_mask,
        )
        hidden_states = states.hidden_states
        outputs = BaseModelOutput(
            last_hidden_state=hidden_states[-1] if hidden_states else states.packing.unpack(states.rows),
            hidden_states=hidden_states,
            attentions=states.attentions,
        )
        return outputs if (self.config.return_dict if return_dict is None else return_dict) else outputs.to_tuple()

    def _encode(
        self,
        input_ids: Tensor | None,
        attention_mask: Tensor | None,
        token_type_ids: Tensor | None,
        position_ids: Tensor | None,
        inputs_embeds: Tensor | None,
        output_attentions: bool | None,
        output_hidden_states: bool | None,
        head_mask: Tensor | None,
    ) -> PackedStates:
        """Compute what `forward` returns, in rows. While recorded, rows of masked places hold anything."""
        config = self.config
        check_traceable()
        check_tensors(
            input_ids=input_ids,
            attention_mask=attention_mask,
            token_type_ids=token_type_ids,
            position_ids=position_ids,
            inputs_embeds=inputs_embeds,
            head_mask=head_mask,
        )
        self._follow_implementation()
        if input_ids is not None and input_ids.dim() == 2 and input_ids.shape[1] > 0 and not is_recorded():
            self.warn_if_padding_and_no_attention_mask(input_ids, attention_mask)
        if inputs_embeds is not None and inputs_embeds.shape[-1] != config.hidden_size:
            raise NysformerError(
                f"inputs_embeds has shape {tuple(inputs_embeds.shape)}: pass (batch, tokens, {config.hidden_size}), "
                "the model's hidden_size"
            )
        inputs = EncoderInputs.read(input_ids, attention_mask, token_type_ids, position_ids, inputs_embeds)
        inputs.check_ranges(
            table_rows(self.embeddings.word_embeddings),
            table_rows(self.embeddings.position_embeddings),
            table_rows(self.embeddings.token_type_embeddings),
        )
        hidden = self.embeddings(
            inputs.input_ids,
            token_type_ids=inputs.token_type_ids,
            position_ids=inputs.position_ids,
            inputs_embeds=inputs.inputs_embeds,
        )
        outputs = self.encoder(
            hidden,
            inputs,
            None if head_mask is None else self._layer_head_masks(head_mask),
            config.output_attentions if output_attentions is None else output_attentions,
            config.output_hidden_states if output_hidden_states is None else output_hidden_states,
        )
        return PackedStates(outputs.last_hidden_state, inputs.packing, outputs.hidden_states, outputs.attentions)

    def _follow_implementation(self) -> None:
        """Let the layers run what the configuration names now: `set_attn_implementation` only writes it there."""
        implementation = attention_implementation(self.config._attn_implementation)
        for layer in self.encoder.all_layers():
            attention = getattr(layer.attention, "self", None)
            if isinstance(attention, SelfAttention) and attention.implementation != implementation:
                attention.implementation = implementation

    def _layer_head_masks(self, head_mask: Tensor) -> list[Tensor]:
        """(H,) or (L, H) to a mask a layer over the heads it still has."""
        layers, heads = self.config.num_hidden_layers, self.config.num_attention_heads
        if head_mask.shape not in ((heads,), (layers, heads)):
            raise NysformerError(
                f"head_mask has shape {tuple(head_mask.shape)}: pass (heads,) = ({heads},) or (layers, heads) = "
                f"({layers}, {heads})"
            )
        masks = head_mask.expand(layers, heads)
        return [masks[layer, self.config.heads_left(layer)] for layer in range(layers)]
