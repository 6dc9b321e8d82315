"""Distance from softmax attention: figures of every form, on the very queries, keys and values of the exact model."""

from collections.abc import Iterator

import pytest
import torch

from benchmarks import quality
from benchmarks.record import Record
from nysformer import NystromformerConfig, NystromformerModel
from nysformer.errors import NysformerError
from nysformer.models.exact import with_softmax_attention
from nysformer.ops import softmax_attention


@pytest.fixture
def encoder() -> NystromformerModel:
    torch.manual_seed(0)
    config = NystromformerConfig(
        vocab_size=60,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=64,
        max_position_embeddings=128,
        num_landmarks=8,
        conv_kernel_size=None,
        initializer_range=0.3,
    )
    return NystromformerModel(config).eval()


@pytest.fixture
def record(encoder: NystromformerModel, monkeypatch: pytest.MonkeyPatch) -> Iterator[Record]:
    monkeypatch.setattr(quality, "_SWEPT_LANDMARKS", 16)
    documents = {length: [torch.randint(10, 60, (length,)) for _ in range(2)] for length in (32, 100)}
    return quality.measure_quality_of(encoder, documents, landmarks=(4, 16, 64))


def test_rows(record: Record) -> None:
    forms = {(row["length"], row["landmarks"], row["iterations"], row["start"]) for row in record.rows}
    assert len(forms) == len(record.rows)
    assert {m for n, m, *_ in forms if n == 32} == {4, 16}  # 64 landmarks are no approximation of 32 tokens
    assert {m for n, m, *_ in forms if n == 100} == {4, 16, 64}
    assert {steps for _, m, steps, _ in forms if m == 16} == {4, 6, 8, 10, 12}
    assert {start for *_, start in forms} == {"original", "per head"}
    for row in record.rows:
        assert 0 < row["relative_error"] < 2
        assert -1 < row["cosine"] <= 1 + 1e-6
        assert row["cost_to_softmax"] > 0


def test_more_landmarks_are_nearer(record: Record) -> None:
    errors = {
        row["landmarks"]: row["relative_error"]
        for row in record.rows
        if (row["length"], row["iterations"], row["start"]) == (100, 6, "per head")
    }
    assert errors[64] < errors[4]


def test_plot_has_a_line_a_length(record: Record) -> None:
    assert record.plot is not None
    for axes in record.plot.axes:
        assert [len(line.get_xdata()) for line in axes.lines[:2]] == [2, 3]


def test_inputs_are_those_of_the_exact_model(encoder: NystromformerModel) -> None:
    exact = with_softmax_attention(encoder)
    ids = torch.randint(10, 60, (50,))
    inputs = quality.attention_inputs(exact, ids)
    assert [tuple(x.shape) for layer in inputs for x in layer] == [(1, 4, 50, 8)] * 6
    # The first layer's context, by hand, is what its output projection reads.
    seen: list[torch.Tensor] = []
    exact.encoder.layer[0].attention.output.dense.register_forward_pre_hook(lambda _, x: seen.append(x[0]))
    with torch.no_grad():
        exact(ids[None])
    context = softmax_attention(*inputs[0]).transpose(1, 2).flatten(2)[0]
    torch.testing.assert_close(context, seen[0].view_as(context))
    assert not exact.encoder.layer[0].attention.self.query._forward_hooks


def test_too_few_texts_of_a_length(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quality, "licence_tokens", lambda max_length: [[5] * 40])
    with pytest.raises(NysformerError, match="1 texts have 32 tokens"):
        quality.measure_quality(lengths=(32,))
