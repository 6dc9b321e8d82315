"""Monarch attention and LSG against what they are by definition, and their place inside BERT."""

import pytest
import torch
from torch import Tensor
from transformers import BertConfig, BertModel

from benchmarks import rivals
from nysformer import from_bert
from nysformer.errors import NysformerError


def softmax_attention(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    return (query @ key.transpose(-1, -2)).softmax(dim=-1) @ value


def drawn(length: int, scale: float = 1.0) -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [scale * torch.randn(2, 3, length, 8, generator=generator, dtype=torch.float64) for _ in range(3)]


def test_one_block_of_monarch_is_softmax_attention() -> None:
    query, key, value = drawn(12)
    found = rivals.monarch_attention(query, key, value, block=12, steps=3)
    torch.testing.assert_close(found, softmax_attention(query, key, value))


def test_monarch_rows_sum_to_one_and_steps_help() -> None:
    query, key, value = drawn(64, 0.5)
    ones = torch.ones_like(value)
    torch.testing.assert_close(rivals.monarch_attention(query, key, ones), ones)
    exact = softmax_attention(query, key, value)
    errors = [(rivals.monarch_attention(query, key, value, steps=steps) - exact).norm() for steps in (1, 2, 3)]
    assert errors[1] < errors[0]


def test_monarch_maximizes_score_plus_entropy() -> None:
    """Its matrix is row-stochastic, so its objective is below the softmax's own and rises with the steps."""
    query, key, _ = (x[:1, :1] for x in drawn(16))
    eye = torch.eye(16, dtype=torch.float64)[None, None]
    scores = query @ key.transpose(-1, -2)

    def objective(matrix: Tensor) -> float:
        return float((matrix * scores).sum() - torch.xlogy(matrix, matrix).sum())

    values = [objective(rivals.monarch_attention(query, key, eye, block=4, steps=steps)) for steps in range(1, 6)]
    assert values == sorted(values)
    assert values[-1] <= objective(scores.softmax(dim=-1)) + 1e-9


def test_lsg_sees_what_it_says() -> None:
    length = 128 * 8
    query, key, _ = drawn(length)
    matrix = rivals.lsg_attention(query, key, torch.eye(length, dtype=torch.float64).expand(2, 3, -1, -1))
    torch.testing.assert_close(matrix.sum(dim=-1), torch.ones(2, 3, length, dtype=torch.float64))
    torch.testing.assert_close(matrix[:, :, :1], (query[:, :, :1] @ key.transpose(-1, -2)).softmax(dim=-1))
    block = torch.arange(length) // 128
    reach = (block[:, None] - block).abs()
    seen = matrix[0, 0] > 0
    assert torch.equal(seen[1:], ((reach <= 3) | (torch.arange(length) == 0))[1:])
    near = (reach[1:, 1:] <= 1).expand(1, 1, -1, -1)
    scores = (query @ key.transpose(-1, -2))[:1, :1, 1:, 1:]
    # Within the near blocks the weights stand to one another as softmax's do.
    logs = (matrix[:1, :1, 1:, 1:].clamp(min=1e-300).log() - scores).masked_fill(~near, 0.0)
    spread = logs.masked_fill(~near, -torch.inf).amax(dim=-1) - logs.masked_fill(~near, torch.inf).amin(dim=-1)
    assert spread.max() < 1e-9


def test_lsg_of_three_blocks_is_softmax_attention() -> None:
    query, key, value = (x[:, :, :256] for x in drawn(256))
    torch.testing.assert_close(rivals.lsg_attention(query, key, value), softmax_attention(query, key, value))


@pytest.mark.parametrize("name", sorted(rivals.RIVALS))
@torch.no_grad()
def test_inside_bert_with_the_positions_of_the_encoder(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(rivals.RIVALS, name, softmax_attention)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=50,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=40,
    )
    bert = BertModel(config, add_pooling_layer=False).eval()
    encoder = from_bert(bert, max_position_embeddings=100)
    ids = torch.randint(50, (1, 100))
    made = rivals.rival(name, bert, encoder)
    encoder.config.attention_mode = "softmax"
    exact = type(encoder)(encoder.config).eval()
    exact.load_state_dict(encoder.state_dict())
    torch.testing.assert_close(made(ids).last_hidden_state, exact(ids).last_hidden_state, rtol=1e-4, atol=1e-5)


def test_other_lengths_are_refused() -> None:
    with pytest.raises(NysformerError, match="100 tokens are no multiple of blocks of 128"):
        rivals.lsg_attention(*drawn(100))
