"""The masked language model. Shapes: B batch, N padded length, T packed tokens, E hidden size, V vocabulary."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from transformers import initialization as init
from transformers.modeling_outputs import MaskedLMOutput

from nysformer.layers import project
from nysformer.layers.linear import is_plain_linear
from nysformer.layers.watched import is_watched
from nysformer.models.configuration import NystromformerConfig
from nysformer.models.encoder import activation_function
from nysformer.models.head_model import TokenHeadModel
from nysformer.models.losses import cross_entropy, few_labelled_rows
from nysformer.models.packing import PackedStates
from nysformer.ops import is_recorded

__all__ = ["NystromformerForMaskedLM"]


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
    """Predict masked tokens. labels (B, N) hold token ids, -100 where there is no label; logits are (B, N, V), zero at
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

    def logits(self, states: PackedStates) -> Tensor:
        return self.cls(states.rows)

    def _logits_and_loss(
        self, states: PackedStates, labels: Tensor | None, num_items: Tensor | int | None
    ) -> tuple[Tensor, Tensor | None]:
        """As the parent; in training with few labels, their rows are decoded a second time, for the loss alone.

        The backward pass of the loss then multiplies those rows by the vocabulary instead of all rows, most of them
        with a gradient of zero. A gradient taken through the logits is the same as before.
        """
        if labels is None or not self._may_decode_twice(states.rows):
            return super()._logits_and_loss(states, labels, num_items)
        packed_labels = self.pack_labels(labels, states.packing)
        rows = few_labelled_rows(packed_labels)
        if rows is None:
            return super()._logits_and_loss(states, labels, num_items)
        decoder, hidden = self.cls.predictions.decoder, self.cls.predictions.transform(states.rows)
        loss = cross_entropy(project(decoder, hidden.index_select(0, rows)), packed_labels[rows], num_items)
        return project(decoder, hidden), loss

    def _may_decode_twice(self, rows: Tensor) -> bool:
        """Whether a backward pass may follow, and one more call of the decoder goes unnoticed: no hook, no dropout."""
        if is_recorded() or not torch.is_grad_enabled():
            return False
        if type(self.cls) is not MaskedLMHead or type(self.cls.predictions) is not LMPredictions:
            return False
        decoder = self.cls.predictions.decoder
        trains = rows.requires_grad or any(parameter.requires_grad for parameter in decoder.parameters())
        return trains and is_plain_linear(decoder) and not is_watched(self.cls)
