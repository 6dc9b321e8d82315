"""Inference memory: a row a candidate and length; softmax attention stops where it takes minutes."""

import pytest

from benchmarks import memory
from benchmarks.candidates import Size
from nysformer.errors import NysformerError


def test_rows(size: Size, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "peak_memory", lambda make, name, size, length: length / (2 if "nys" in name else 1))
    monkeypatch.setattr(memory, "_LONGEST_SOFTMAX", 32)
    record = memory.measure_memory(lengths=(64, 32), size=size)
    rows = {(row["length"], row["candidate"]): row for row in record.rows}
    assert rows[64, "nysformer float32"]["to_transformers"] == 0.5
    assert rows[64, "transformers float32"]["kib_a_token"] == 1024
    assert (32, "BERT float32") in rows
    assert (64, "BERT float32") not in rows


def test_what_is_weighed_is_a_forward_pass(size: Size) -> None:
    assert memory._make_forward("nysformer float32", size, 64)().shape == (1, 64, size.hidden)


def test_a_length_transformers_cannot_have_is_refused() -> None:
    with pytest.raises(NysformerError, match="100 tokens"):
        memory.measure_memory(lengths=(100,))
