"""Each family's names go to ours and back, and are those that transformers' classes have."""

from typing import Any

import pytest
import torch
from transformers import (
    BertConfig,
    BertForMaskedLM,
    DistilBertConfig,
    DistilBertForMaskedLM,
    ElectraConfig,
    ElectraForMaskedLM,
    PreTrainedConfig,
    PreTrainedModel,
    RobertaConfig,
    RobertaForMaskedLM,
    XLMRobertaConfig,
    XLMRobertaForMaskedLM,
)

from nysformer import NystromformerConfig, NystromformerForMaskedLM
from nysformer.checkpoints.convert.families import AUTHORS, FAMILIES, Family, to_ours, to_theirs

SIZES: dict[str, Any] = {"vocab_size": 20, "hidden_size": 8, "num_attention_heads": 2, "intermediate_size": 8}


PAIRS = [
    (BertConfig, BertForMaskedLM),
    (RobertaConfig, RobertaForMaskedLM),
    (XLMRobertaConfig, XLMRobertaForMaskedLM),
    (DistilBertConfig, DistilBertForMaskedLM),
    (ElectraConfig, ElectraForMaskedLM),
]


@pytest.mark.parametrize(("config", "model"), PAIRS)
def test_there_and_back(config: type[PreTrainedConfig], model: type[PreTrainedModel]) -> None:
    sizes = {"intermediate_size": 8, "hidden_dim": 8, "embedding_size": 8, "max_position_embeddings": 12}
    state = model(config(**{**SIZES, **sizes, "num_hidden_layers": 12})).state_dict()
    family = FAMILIES[config.model_type]
    ours, left = to_ours(state, family)
    assert left == []
    assert {to_theirs(key, family) for key in ours} == set(state)
    assert all(ours[key] is state[to_theirs(key, family)] for key in ours)


@pytest.mark.parametrize("family", [*FAMILIES.values(), AUTHORS], ids=lambda family: family.kind)
def test_every_name_of_ours_comes_back(family: Family) -> None:
    config = NystromformerConfig(**SIZES, num_hidden_layers=12, conv_kernel_size=3)
    for key in NystromformerForMaskedLM(config).state_dict():
        plain = key.removeprefix("nystromformer.")
        theirs = to_theirs(plain, family)
        assert theirs is not None
        again, _ = to_ours({theirs: torch.zeros(1)}, family)
        assert list(again) == [plain]


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("model.transformer_3.mha.W_q.weight", "encoder.layer.3.attention.self.query.weight"),
        ("model.transformer_11.mha.attn.conv.weight", "encoder.layer.11.attention.self.conv.weight"),
        ("model.transformer_0.mha.ff.bias", "encoder.layer.0.attention.output.dense.bias"),
        ("model.transformer_0.norm1.bias", "encoder.layer.0.attention.output.LayerNorm.bias"),
        ("model.transformer_0.ff1.weight", "encoder.layer.0.intermediate.dense.weight"),
        ("model.transformer_0.ff2.weight", "encoder.layer.0.output.dense.weight"),
        ("model.transformer_0.norm2.weight", "encoder.layer.0.output.LayerNorm.weight"),
        ("model.embeddings.norm.weight", "embeddings.LayerNorm.weight"),
        ("mlm.mlm_class.bias", "cls.predictions.decoder.bias"),
        ("mlm.norm.bias", "cls.predictions.transform.LayerNorm.bias"),
    ],
)
def test_the_authors_names(theirs: str, ours: str) -> None:
    assert list(to_ours({theirs: torch.zeros(1)}, AUTHORS)[0]) == [ours]
    assert to_theirs(ours, AUTHORS) == theirs


def test_what_has_no_counterpart_is_named() -> None:
    odd = ["model.pooler.weight", "sen_class.bias", "model.transformer_0.mha.W_o.weight", "loose"]
    assert to_ours(dict.fromkeys(odd, torch.zeros(1)), AUTHORS) == ({}, odd)
    assert to_theirs("encoder.layer.0.other.weight", AUTHORS) is None
