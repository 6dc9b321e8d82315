"""Other encoders' names: one two-way table a family, from its checkpoint's modules to ours.

A name is a module's path in the checkpoint without the backbone's prefix, `{i}` where the layer's number stands; what
follows it, `weight` or `bias`, is the same on both sides.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

__all__ = ["AUTHORS", "FAMILIES", "Family", "to_ours", "to_theirs"]

_EMBEDDINGS = tuple(
    f"embeddings.{name}" for name in ("word_embeddings", "position_embeddings", "token_type_embeddings", "LayerNorm")
)
_LAYER = tuple(
    f"encoder.layer.{{i}}.{name}"
    for name in (
        "attention.self.query",
        "attention.self.key",
        "attention.self.value",
        "attention.self.conv",
        "attention.output.dense",
        "attention.output.LayerNorm",
        "intermediate.dense",
        "output.dense",
        "output.LayerNorm",
    )
)
_HEAD = tuple(f"cls.predictions{name}" for name in ("", ".transform.dense", ".transform.LayerNorm", ".decoder"))
OUR_MODULES = _EMBEDDINGS + _LAYER + _HEAD

# The number of a layer: between dots, or as in `transformer_3`; not the 1 of `norm1`.
_NUMBER = re.compile(r"(?<=[._])\d+(?=\.)")


@dataclass(frozen=True)
class Family:
    """How one kind of encoder is called, laid out and configured.

    Attributes:
        kind: its `model_type`, or a name where it has none.
        prefix: of the backbone in a checkpoint with a head.
        names: {our module: its module}, where they differ.
        settings: {our setting: its setting}, where they differ.
        fixed: our settings that this family knows no option for.
        head_act: the activation of its masked-LM head, whatever the configuration says; None where that decides.
        positions_after_padding: positions start after the padding token's number, not at 0.
    """

    kind: str
    prefix: str
    names: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, str] = field(default_factory=dict)
    fixed: Mapping[str, Any] = field(default_factory=dict)
    head_act: str | None = None
    positions_after_padding: bool = False

    def first_position(self, config: Any) -> int:
        """The row of the position table that a document's first token reads."""
        return config.pad_token_id + 1 if self.positions_after_padding else 0

    def their_settings(self, config: Any) -> dict[str, Any]:
        """The settings that its configuration and ours share, under our names."""
        names = (
            "vocab_size",
            "hidden_size",
            "num_hidden_layers",
            "num_attention_heads",
            "intermediate_size",
            "hidden_act",
            "hidden_dropout_prob",
            "attention_probs_dropout_prob",
            "type_vocab_size",
            "initializer_range",
            "layer_norm_eps",
            "pad_token_id",
            "bos_token_id",
            "eos_token_id",
            "tie_word_embeddings",
        )
        read = {name: getattr(config, self.settings.get(name, name)) for name in names if name not in self.fixed}
        return {**read, **self.fixed}


_ROBERTA_HEAD = {
    "cls.predictions": "lm_head",
    "cls.predictions.transform.dense": "lm_head.dense",
    "cls.predictions.transform.LayerNorm": "lm_head.layer_norm",
    "cls.predictions.decoder": "lm_head.decoder",
}
_DISTILBERT_LAYER = {
    "attention.self.query": "attention.q_lin",
    "attention.self.key": "attention.k_lin",
    "attention.self.value": "attention.v_lin",
    "attention.output.dense": "attention.out_lin",
    "attention.output.LayerNorm": "sa_layer_norm",
    "intermediate.dense": "ffn.lin1",
    "output.dense": "ffn.lin2",
    "output.LayerNorm": "output_layer_norm",
}
_AUTHORS_LAYER = {
    "attention.self.query": "mha.W_q",
    "attention.self.key": "mha.W_k",
    "attention.self.value": "mha.W_v",
    "attention.self.conv": "mha.attn.conv",
    "attention.output.dense": "mha.ff",
    "attention.output.LayerNorm": "norm1",
    "intermediate.dense": "ff1",
    "output.dense": "ff2",
    "output.LayerNorm": "norm2",
}

FAMILIES = {
    family.kind: family
    for family in (
        Family("bert", "bert"),
        Family("roberta", "roberta", _ROBERTA_HEAD, head_act="gelu", positions_after_padding=True),
        Family("xlm-roberta", "roberta", _ROBERTA_HEAD, head_act="gelu", positions_after_padding=True),
        Family(
            "distilbert",
            "distilbert",
            {
                **{
                    f"encoder.layer.{{i}}.{ours}": f"transformer.layer.{{i}}.{theirs}"
                    for ours, theirs in _DISTILBERT_LAYER.items()
                },
                "cls.predictions.transform.dense": "vocab_transform",
                "cls.predictions.transform.LayerNorm": "vocab_layer_norm",
                "cls.predictions.decoder": "vocab_projector",
            },
            settings={
                "intermediate_size": "hidden_dim",
                "hidden_act": "activation",
                "hidden_dropout_prob": "dropout",
                "attention_probs_dropout_prob": "attention_dropout",
            },
            # It reads no token types; two rows of zeros let a tokenizer that makes them have none.
            fixed={"type_vocab_size": 2, "layer_norm_eps": 1e-12},
        ),
        Family(
            "electra",
            "electra",
            {
                "cls.predictions.transform.dense": "generator_predictions.dense",
                "cls.predictions.transform.LayerNorm": "generator_predictions.LayerNorm",
                "cls.predictions.decoder": "generator_lm_head",
            },
            head_act="gelu",
        ),
    )
}

# The training code of Xiong et al.: no configuration inside the file, the head beside the model.
AUTHORS = Family(
    "the authors' Nyströmformer",
    "model",
    {
        "embeddings.LayerNorm": "embeddings.norm",
        **{f"encoder.layer.{{i}}.{ours}": f"transformer_{{i}}.{theirs}" for ours, theirs in _AUTHORS_LAYER.items()},
        "cls.predictions.transform.dense": "mlm.dense",
        "cls.predictions.transform.LayerNorm": "mlm.norm",
        "cls.predictions.decoder": "mlm.mlm_class",
    },
)


def to_ours(state: Mapping[str, Tensor], family: Family) -> tuple[dict[str, Tensor], list[str]]:
    """Rename a checkpoint.

    Args:
        state: a state dict, with or without a head, with or without the backbone's prefix.
        family: whose it is.

    Returns:
        Backbone and masked-LM head under our names, the backbone's without a prefix; and the keys that have no
        counterpart.

    Example:
        >>> import torch
        >>> renamed, left = to_ours({"model.transformer_3.mha.W_q.bias": torch.zeros(1)}, AUTHORS)
        >>> list(renamed), left
        (['encoder.layer.3.attention.self.query.bias'], [])
    """
    table = {theirs: ours for ours, theirs in _table(family).items()}
    renamed, left = {}, []
    for key, value in state.items():
        ours = _rename(key.removeprefix(f"{family.prefix}."), table)
        if ours is None:
            left.append(key)
        else:
            renamed[ours] = value
    return renamed, left


def to_theirs(key: str, family: Family) -> str | None:
    """The name that our key, the backbone's without prefix, has in a checkpoint of that family; None for none.

    Example:
        >>> to_theirs("cls.predictions.decoder.bias", FAMILIES["distilbert"])
        'vocab_projector.bias'
        >>> to_theirs("encoder.layer.0.output.dense.weight", FAMILIES["roberta"])
        'roberta.encoder.layer.0.output.dense.weight'
    """
    theirs = _rename(key, _table(family))
    if theirs is None or key.startswith("cls."):
        return theirs
    return f"{family.prefix}.{theirs}"


def _table(family: Family) -> dict[str, str]:
    return {ours: family.names.get(ours, ours) for ours in OUR_MODULES}


def _rename(key: str, table: Mapping[str, str]) -> str | None:
    module, _, leaf = key.rpartition(".")
    number = _NUMBER.search(f"{module}.")
    pattern = _NUMBER.sub("{i}", f"{module}.", count=1).removesuffix(".")
    if pattern not in table:
        return None
    return f"{table[pattern].replace('{i}', number.group() if number else '')}.{leaf}"
