"""What does not fit is refused at the door, in one line that names the mend."""

from collections.abc import Callable
from typing import Any

import pytest
import torch

from nysformer import NysformerError
from nysformer.layers import attention

Make = Callable[..., Any]
Warned = Callable[[], list[str]]
IDS = torch.randint(2, 99, (2, 20), generator=torch.Generator().manual_seed(0))
TOO_HIGH, NEGATIVE = IDS.clone(), IDS.clone()
TOO_HIGH[1, 3], NEGATIVE[0, 0] = 99, -1

WRONG: list[tuple[dict[str, Any], str]] = [
    ({}, "one of the two, not both"),
    ({"input_ids": IDS, "inputs_embeds": torch.zeros(2, 20, 32)}, "one of the two, not both"),
    ({"input_ids": IDS[0]}, r"input_ids is \(batch, tokens\); got shape \(20,\)"),
    ({"input_ids": IDS[None]}, r"input_ids is \(batch, tokens\)"),
    ({"inputs_embeds": torch.zeros(2, 32)}, r"inputs_embeds is \(batch, tokens, hidden_size\)"),
    ({"inputs_embeds": torch.zeros(2, 20, 31)}, r"pass \(batch, tokens, 32\)"),
    ({"input_ids": IDS, "attention_mask": torch.ones(2, 19)}, r"attention_mask has shape \(2, 19\)"),
    ({"input_ids": IDS, "attention_mask": torch.ones(20)}, r"attention_mask has shape \(20,\)"),
    ({"input_ids": IDS, "attention_mask": torch.ones(2, 1, 1, 20)}, r"attention_mask has shape \(2, 1, 1, 20\)"),
    ({"input_ids": IDS, "attention_mask": torch.ones(2, 20, 20)}, r"attention_mask has shape \(2, 20, 20\)"),
    (
        {"input_ids": IDS, "attention_mask": torch.zeros(2, 20).index_fill(1, torch.tensor([3]), -1e9)},
        "other than 0 and 1",
    ),
    ({"input_ids": IDS, "attention_mask": torch.full((2, 20), float("nan"))}, "other than 0 and 1"),
    ({"input_ids": TOO_HIGH}, r"input_ids holds \d+ to 99, outside 0 to 98"),
    ({"input_ids": NEGATIVE}, r"input_ids holds -1 to \d+, outside 0 to 98"),
    ({"input_ids": IDS, "token_type_ids": torch.full((2, 20), 2)}, "token_type_ids holds 2 to 2, outside 0 to 1"),
    ({"input_ids": IDS, "token_type_ids": torch.zeros(3, 20, dtype=torch.long)}, "token_type_ids has shape"),
    ({"input_ids": IDS, "position_ids": torch.zeros(2, 19, dtype=torch.long)}, r"position_ids has shape \(2, 19\)"),
    ({"input_ids": IDS, "position_ids": torch.full((2, 20), -1)}, "position_ids holds negative numbers"),
    ({"input_ids": IDS, "position_ids": torch.full((1, 20), 258)}, "position table holds 256.*extend_positions"),
    (
        {"input_ids": torch.full((1, 257), 5)},
        r"reaches token 257, and the position table holds 256.*extend_positions\(257",
    ),
    ({"input_ids": IDS, "head_mask": torch.ones(3)}, r"head_mask has shape \(3,\)"),
    ({"input_ids": IDS, "head_mask": torch.ones(1, 4)}, r"head_mask has shape \(1, 4\)"),
]


@pytest.mark.parametrize(("inputs", "message"), WRONG, ids=range(len(WRONG)))
@pytest.mark.parametrize("name", ["Model", "ForTokenClassification"])
def test_refused(make: Make, name: str, inputs: dict[str, Any], message: str) -> None:
    with pytest.raises(NysformerError, match=message) as caught:
        make(name)(**inputs)
    assert "\n" not in str(caught.value)


def test_a_long_row_of_short_documents_is_fine(make: Make) -> None:
    """Padding past the table is not a long document."""
    ids = torch.randint(2, 99, (1, 400))
    mask = torch.arange(400)[None] < 200
    model = make("Model")
    torch.testing.assert_close(model(ids, mask)[0][:, :200], model(ids[:, :200])[0], rtol=1e-5, atol=1e-5)


def test_pads_without_a_mask_warn_once(make: Make, warned: Warned) -> None:
    model = make("Model")
    ids = IDS.clone()
    ids[1, 10:] = 1
    model(ids, torch.ones(2, 20))
    model(IDS)
    assert not warned()
    for _ in range(2):
        model(ids)
    assert len(warned()) == 1
    assert "attention_mask" in warned()[0]


def test_maps_past_the_limit(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    model = make("Model")
    monkeypatch.setattr(attention, "MAX_MAP_BYTES", 2 * 4 * 20 * 20 * 4)
    assert len(model(IDS, output_attentions=True).attentions) == 2
    with pytest.raises(NysformerError, match="attention_rows") as caught:
        model(torch.full((2, 21), 5), output_attentions=True)
    assert "\n" not in str(caught.value)


def test_maps_of_a_very_long_document_are_refused_before_they_are_made(make: Make) -> None:
    model = make("Model", max_position_embeddings=65536)
    with pytest.raises(NysformerError, match=r"65536 x 65536 take 64 GiB a layer.*attention_rows"):
        model(torch.full((1, 65536), 5), output_attentions=True)


@pytest.mark.parametrize("mode", ["auto", "softmax"])
def test_a_batch_of_no_documents(make: Make, mode: str) -> None:
    assert make("Model", attention_mode=mode)(torch.zeros(0, 10, dtype=torch.long))[0].shape == (0, 10, 32)


def test_lengths_of_one_and_batches_of_one(make: Make) -> None:
    model = make("Model")
    assert model(torch.tensor([[5]]))[0].shape == (1, 1, 32)
    assert model(torch.tensor([[5], [6]]))[0].shape == (2, 1, 32)
