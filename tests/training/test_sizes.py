"""The sizes are those of BERT's published models."""

import pytest
import torch
from tiny import letter_tokenizer

from nysformer.training.pretrain import new_model
from nysformer.training.sizes import SIZE_NAMES, SIZES, SizeName


@pytest.mark.parametrize(
    ("name", "layers", "width", "heads"),
    [("tiny", 2, 128, 2), ("mini", 4, 256, 4), ("small", 4, 512, 8), ("base", 12, 768, 12)],
)
def test_layers_width_and_heads(name: SizeName, layers: int, width: int, heads: int) -> None:
    size = SIZES[name]
    assert (size.layers, size.width, size.heads, size.inner) == (layers, width, heads, 4 * width)
    assert list(SIZES) == list(SIZE_NAMES)


def test_a_new_model_has_the_size_and_the_tokenizers_tokens() -> None:
    torch.manual_seed(0)
    model = new_model("tiny", letter_tokenizer(), 100, 16)
    config = model.config
    assert (config.num_hidden_layers, config.hidden_size, config.intermediate_size) == (2, 128, 512)
    assert (config.vocab_size, config.max_position_embeddings, config.num_landmarks) == (56, 100, 16)
    assert (config.pad_token_id, config.bos_token_id, config.eos_token_id) == (0, 2, 3)
    assert config.resolved_attention_mode == "auto"
    torch.manual_seed(0)
    again = new_model("tiny", letter_tokenizer(), 100, 16)
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), again.parameters(), strict=True))
