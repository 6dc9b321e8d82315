"""Position ids: rows of the table, and where a new document begins in a row that holds several."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import DataCollatorWithFlattening

from nysformer import NysformerError

Make = Callable[..., Any]
LENGTHS = [20, 9, 20, 5, 40, 2]
WHOLE_ROWS = ["Model", "ForMaskedLM", "ForTokenClassification"]
ONE_ANSWER = ["ForSequenceClassification", "ForMultipleChoice", "ForQuestionAnswering"]


def documents() -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.randint(2, 99, (length,), generator=generator) for length in LENGTHS]


def flattened(**options: Any) -> dict[str, Tensor]:
    features = [{"input_ids": ids.tolist(), "labels": [1] * len(ids)} for ids in documents()]
    batch: dict[str, Tensor] = DataCollatorWithFlattening(**options)(features)
    return batch


@pytest.mark.parametrize("name", [*WHOLE_ROWS, *ONE_ANSWER])
def test_zero_based_ids_are_refused(make: Make, labelled: Make, name: str) -> None:
    model, inputs = make(name), labelled(name, 2, 20)
    for first in (0, 1):
        for shape in ((1, 20), inputs["input_ids"].shape):
            rows = (torch.arange(20) + first).expand(shape)
            with pytest.raises(
                NysformerError, match=rf"position_ids holds {first}: .* start at 2; add 2 to 0-based"
            ) as caught:
                model(**inputs, position_ids=rows)
            assert "\n" not in str(caught.value)


def test_what_stands_under_the_mask_is_not_refused(make: Make) -> None:
    model, ids = make("Model"), torch.full((1, 6), 5)
    mask, rows = torch.tensor([[0, 1, 1, 1, 0, 0]]), torch.tensor([[0, 4, 5, 9, 1, -3]])
    expected = model(ids[:, 1:4], position_ids=rows[:, 1:4])[0]
    torch.testing.assert_close(model(ids, mask, position_ids=rows)[0][:, 1:4], expected)


@pytest.mark.parametrize("mode", ["auto", "nystrom", "softmax"])
@pytest.mark.parametrize("first", [2, 7])
@pytest.mark.parametrize("name", WHOLE_ROWS)
def test_documents_end_to_end_are_read_apart(make: Make, name: str, first: int, mode: str) -> None:
    model = make(name, attention_mode=mode)
    batch = flattened(position_ids_start=first)
    labels = batch.pop("labels")
    found = model(**batch, output_hidden_states=True)
    alone = [
        model(ids[None], position_ids=torch.arange(len(ids))[None] + first, output_hidden_states=True)
        for ids in documents()
    ]
    for place, hidden in enumerate(found.hidden_states):
        expected = torch.cat([each.hidden_states[place] for each in alone], dim=1)
        torch.testing.assert_close(hidden, expected, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(found[0], torch.cat([each[0] for each in alone], dim=1), rtol=1e-4, atol=1e-4)
    with torch.no_grad():  # in blocks of rows
        torch.testing.assert_close(model(**batch)[0], found[0], rtol=1e-4, atol=1e-4)
    if name != "Model":
        asked = torch.nn.functional.cross_entropy(found.logits[0], labels[0])
        torch.testing.assert_close(model(**batch, labels=labels).loss, asked)


def test_maps_and_gradients_of_documents_end_to_end(make: Make) -> None:
    model, batch = make("Model"), flattened(position_ids_start=2)
    del batch["labels"]
    maps = model(**batch, output_attentions=True).attentions[0][0, 0]
    own = torch.block_diag(*[torch.ones(length, length) for length in LENGTHS])
    assert not maps[own == 0].any()
    assert maps[own == 1].all()
    embeds = model.get_input_embeddings()(batch["input_ids"]).detach().requires_grad_()
    model(inputs_embeds=embeds, position_ids=batch["position_ids"])[0][0, 22].sum().backward()
    assert embeds.grad is not None
    assert embeds.grad[0, 20:29].any(dim=1).all()
    assert not embeds.grad[0, :20].any()
    assert not embeds.grad[0, 29:].any()


def test_padded_rows_of_several_documents(make: Make) -> None:
    model = make("Model")
    ids = torch.cat(documents())[:60].view(2, 30)
    mask = torch.ones(2, 30)
    mask[0, 26:], mask[1, 3] = 0, 0
    rows = torch.tensor([[*range(2, 12), *range(2, 18), 0, 0, 0, 0], [2, 3, 4, 999, *range(5, 31)]])
    found = model(ids, mask, position_ids=rows)[0]
    for row, start, stop in ((0, 0, 10), (0, 10, 26), (1, 0, 30)):
        part = slice(start, stop)
        alone = model(ids[row : row + 1, part], mask[row : row + 1, part], position_ids=rows[row : row + 1, part])[0]
        torch.testing.assert_close(found[row : row + 1, part], alone, rtol=1e-4, atol=1e-5)


def test_without_a_position_table_the_ids_still_tell_documents_apart(make: Make) -> None:
    model = make("Model", position_embedding_type="none")
    batch = flattened()
    del batch["labels"]
    alone = torch.cat([model(ids[None])[0] for ids in documents()], dim=1)
    torch.testing.assert_close(model(**batch)[0], alone, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ONE_ANSWER)
def test_heads_that_answer_once_per_row_refuse_several_documents(make: Make, name: str) -> None:
    batch = flattened(position_ids_start=2)
    ids = batch["input_ids"][:, None] if name == "ForMultipleChoice" else batch["input_ids"]
    with pytest.raises(NysformerError, match=r"several documents.*one document per row") as caught:
        make(name)(ids, position_ids=batch["position_ids"])
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("rows", [[2, 3, 4, 4, 5], [6, 5, 4, 3, 2], [2, 2, 2, 2, 2], [37, 38, 2, 3, 4]], ids=str)
def test_ids_that_do_not_rise_are_refused(make: Make, rows: list[int]) -> None:
    with pytest.raises(NysformerError, match=r"position_ids go from \d+ to \d+ within a row") as caught:
        make("Model")(torch.full((1, 5), 5), position_ids=torch.tensor([rows]))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("options", [{"return_flash_attn_kwargs": True}, {"return_seq_idx": True}])
def test_arguments_of_other_models_are_not_swallowed(make: Make, options: dict[str, bool]) -> None:
    with pytest.raises(TypeError, match="unexpected keyword argument"):
        make("ForMaskedLM")(**flattened(position_ids_start=2, **options))
