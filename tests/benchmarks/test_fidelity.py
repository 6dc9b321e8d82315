"""Document vectors of every form beside exact ones."""

import pytest
import torch

from benchmarks import fidelity
from nysformer import NystromformerConfig, NystromformerModel
from nysformer.errors import NysformerError


def new_encoder(num_landmarks: int) -> NystromformerModel:
    torch.manual_seed(0)
    config = NystromformerConfig(
        vocab_size=60,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=64,
        max_position_embeddings=128,
        num_landmarks=num_landmarks,
        softmax_max_length=32,
        attention_mode="auto",
        conv_kernel_size=None,
        initializer_range=0.3,
    )
    return NystromformerModel(config).eval()


def test_rows_and_plot() -> None:
    encoder = new_encoder(8)
    documents = {length: [torch.randint(10, 60, (length,)) for _ in range(4)] for length in (32, 100)}
    forms = {"coarse": encoder, "fine": new_encoder(99)}
    record = fidelity.fidelity_record(fidelity.fidelity_rows("one", encoder, forms, documents), "a command")
    errors = {(row["form"], row["length"]): row["relative_error"] for row in record.rows}
    assert len(record.rows) == len(errors) == 6
    assert errors["exact", 100] == 0
    assert errors["coarse", 32] < 1e-5, "up to there attention is softmax"
    assert errors["fine", 100] < errors["coarse", 100]
    assert all(row["wall_s"] > 0 for row in record.rows)
    assert record.command == "a command"
    assert record.plot is not None
    assert len(record.plot.axes[0].lines) == 3


def test_too_few_texts_of_a_length(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fidelity, "held_out_tokens", lambda max_length: [[5] * 40])
    with pytest.raises(NysformerError, match="1 held-out texts have 32 tokens"):
        fidelity.measure_fidelity(lengths=(32,))


def test_bars_are_of_the_lengths_they_are_set_for() -> None:
    encoder = new_encoder(8)
    documents = {2048: [torch.randint(10, 60, (100,)) for _ in range(3)], 100: [torch.randint(10, 60, (50,))] * 2}
    forms = {"clusters 64": encoder, "distilled": encoder, "segments 64": encoder}
    record = fidelity.fidelity_record(fidelity.fidelity_rows("one", encoder, forms, documents), "a command")
    assert [bar["bound"] for bar in record.bars] == [">= 0.88", ">= 0.97", "<= 0.25"]
    assert all("2,048 tokens" in bar["bar"] for bar in record.bars)
