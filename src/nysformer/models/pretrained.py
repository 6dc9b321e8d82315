"""What the backbone and every head model share: loading, initialisation, pruning, positions, the attention's form."""

from __future__ import annotations

from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import nn
from transformers import initialization as init

from nysformer.errors import NysformerError
from nysformer.layers import HeadKernels, OffsetLinear, OffsetNorm
from nysformer.models.configuration import NystromformerConfig
from nysformer.models.guards import GuardedModel
from nysformer.models.inputs import FIRST_POSITION
from nysformer.models.pooling import FeatureScaling, Pooling
from nysformer.models.pruning import prune_layer
from nysformer.ops import Implementation, refuse_script

__all__ = ["NystromformerPreTrainedModel", "attention_implementation"]


def attention_implementation(name: str | None) -> Implementation:
    """The form of the attention products that `attn_implementation` names; None is the default, "sdpa".

    Raises:
        NysformerError: another name.
    """
    if name is None or name == "sdpa":
        return "sdpa"
    if name == "eager":
        return "eager"
    raise NysformerError(
        f"attn_implementation is {name!r}: a Nyströmformer has 'sdpa' (the default) and 'eager' (plain products, for "
        "second derivatives)"
    )


class NystromformerPreTrainedModel(GuardedModel):
    """What the backbone and every head model share: loading, saving, initialisation, pruning, positions."""

    config: NystromformerConfig
    config_class = NystromformerConfig
    base_model_prefix = "nystromformer"
    supports_gradient_checkpointing = True
    _supports_sdpa = True
    _no_split_modules = ["NystromformerLayer", "Embeddings"]  # noqa: RUF012
    # Old checkpoints carry these buffers.
    _keys_to_ignore_on_load_unexpected = [r"embeddings\.position_ids", r"embeddings\.token_type_ids"]  # noqa: RUF012

    def _init_weights(self, module: nn.Module) -> None:
        if isinstance(module, OffsetLinear | OffsetNorm):
            init.zeros_(module.weight)
            init.zeros_(module.bias)
            return
        super()._init_weights(module)
        if isinstance(module, HeadKernels):
            init.normal_(module.weight, mean=0.0, std=self.config.initializer_range)
        elif isinstance(module, Pooling | FeatureScaling):
            module.reset()

    def _check_and_adjust_attn_implementation(
        self, attn_implementation: str | None, *args: Any, **kwargs: Any
    ) -> str | None:
        """Overrides transformers' method, which knows the kernels of other models.

        A configuration that names none stays so: transformers' own Nyströmformer, which has no "sdpa", reads it too.
        """
        attention_implementation(attn_implementation)
        return attn_implementation

    def get_correct_attn_implementation(self, requested_attention: str | None, is_init_check: bool = False) -> str:
        """The name that stands for the requested one: "sdpa" for None.

        Raises:
            NysformerError: neither "sdpa" nor "eager".
        """
        return attention_implementation(requested_attention)

    @classmethod
    def _can_set_attn_implementation(cls) -> bool:
        return True  # the backbone reads the configuration at each call

    def __prepare_scriptable__(self) -> None:
        """Called by `torch.jit.script`.

        Raises:
            NysformerError: always.
        """
        refuse_script()

    def prune_heads(self, heads_to_prune: dict[int, list[int]]) -> None:
        """Remove attention heads for good, their convolution kernels too; saved and loaded with the configuration.

        Args:
            heads_to_prune: {layer: [heads]}, by their original numbers; heads already gone are passed over.

        Raises:
            NysformerError: a layer or head that does not exist, or a layer left without a head. Nothing is pruned then.
                Or the model came out of `optimize`.
        """
        self._refuse_if_optimized("pruned: prune")
        before = dict(self.config.pruned_heads or {})
        after = {
            layer: sorted({*before.get(layer, []), *heads_to_prune.get(layer, [])})
            for layer in {*before, *heads_to_prune}
        }
        head_size = self.config.hidden_size // self.config.num_attention_heads
        present = {layer: self.config.heads_left(layer) for layer in heads_to_prune}
        self.config.pruned_heads = after
        try:
            self.config.check()
        except NysformerError:
            self.config.pruned_heads = before or None
            raise
        for layer, heads in present.items():
            kept = set(self.config.heads_left(layer))
            places = [place for place, head in enumerate(heads) if head in kept]
            prune_layer(self.base_model.encoder.layer[layer], places, head_size)
            if self.base_model.encoder.long_layer is not None:
                prune_layer(self.base_model.encoder.long_layer[layer], places, head_size)

    def resize_token_embeddings(self, *args: Any, **kwargs: Any) -> nn.Embedding:
        """As transformers' method.

        Raises:
            NysformerError: an adapter wraps the token table, and would be lost.
        """
        if args or kwargs:
            _check_unwrapped(self.get_input_embeddings(), "word_embeddings", "resize_token_embeddings")
        return super().resize_token_embeddings(*args, **kwargs)

    def get_position_embeddings(self) -> nn.Embedding | None:
        """The position table, (max_position_embeddings + 2, E); None where the model has none."""
        return self.base_model.embeddings.position_embeddings

    def extend_positions(self, max_position_embeddings: int, method: Literal["tile", "interpolate"] = "tile") -> None:
        """Let the model read longer documents, in place.

        Args:
            max_position_embeddings: tokens a document may have from now on, at least as many as now.
            method: "tile" repeats the table, so that every document it could read keeps its numbers; "interpolate"
                stretches it, which moves every position and wants training.

        Raises:
            NysformerError: fewer positions than now, another method, a model without positions, one whose position
                table an adapter wraps, or one out of `optimize`.
        """
        self._refuse_if_optimized("extended: extend")
        table = self.get_position_embeddings()
        if table is None:
            raise NysformerError("this model has no positions (position_embedding_type 'none'): any length works as is")
        _check_unwrapped(table, "position_embeddings", "extend_positions")
        now = table.num_embeddings - FIRST_POSITION
        if max_position_embeddings < now:
            raise NysformerError(f"the position table holds {now}: it cannot shrink to {max_position_embeddings}")
        rows = table.weight.detach()[FIRST_POSITION:]
        if method == "tile":
            extended = rows.repeat(-(-max_position_embeddings // now), 1)[:max_position_embeddings]
        elif method == "interpolate":
            stretched = F.interpolate(
                rows.float().T[None], size=max_position_embeddings, mode="linear", align_corners=True
            )
            extended = stretched[0].T.to(rows.dtype)
        else:
            raise NysformerError(f"method is {method!r}: choose 'tile' or 'interpolate'")
        larger = nn.Embedding.from_pretrained(
            torch.cat([table.weight.detach()[:FIRST_POSITION], extended]), freeze=not table.weight.requires_grad
        )
        self.base_model.embeddings.position_embeddings = larger
        self.config.max_position_embeddings = max_position_embeddings

    def resize_position_embeddings(self, new_num_position_embeddings: int) -> None:
        """transformers' name for `extend_positions`, by tiling."""
        self.extend_positions(new_num_position_embeddings)


def _check_unwrapped(table: nn.Module, name: str, method: str) -> None:
    if not isinstance(table, nn.Embedding):
        raise NysformerError(
            f"{name} is wrapped by an adapter ({type(table).__name__}), which {method} would drop: call it before the "
            "adapter is added, or merge_and_unload first"
        )
