"""What each head reads and what its loss is."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F

from nysformer import NysformerError

Make = Callable[..., Any]


def test_sequence_and_choice_heads_read_the_first_unmasked_token(make: Make) -> None:
    ids = torch.randint(2, 99, (1, 30))
    mask = torch.ones(1, 30)
    mask[:, :4] = 0
    places = torch.arange(4, 30)[None] + 2
    model = make("ForSequenceClassification")
    alone = model(ids[:, 4:], position_ids=places).logits
    torch.testing.assert_close(model(ids, mask).logits, alone, rtol=1e-5, atol=1e-5)
    head, hidden = model.classifier, model.nystromformer(ids, mask)[0]
    expected = head.out_proj(F.gelu(head.dense(hidden[:, 4]), approximate="tanh"))
    torch.testing.assert_close(model(ids, mask).logits, expected)
    model = make("ForMultipleChoice")
    choice = model(ids[None], mask[None]).logits
    hidden = model.nystromformer(ids, mask)[0]
    torch.testing.assert_close(choice, model.classifier(F.relu(model.pre_classifier(hidden[:, 4]))))


def test_sequence_head_uses_the_models_activation(make: Make) -> None:
    model = make("ForSequenceClassification", hidden_act="relu")
    ids = torch.randint(2, 99, (1, 30))
    first = model.nystromformer(ids)[0][:, 0]
    expected = model.classifier.out_proj(model.classifier.dense(first).relu())
    torch.testing.assert_close(model(ids).logits, expected)


def test_multiple_choice_shapes(make: Make, labelled: Make) -> None:
    model, inputs = make("ForMultipleChoice"), labelled("ForMultipleChoice", 2, 20)
    output = model(output_hidden_states=True, **inputs)
    assert output.logits.shape == (2, 3)
    assert output.hidden_states[0].shape == (6, 20, 32)
    torch.testing.assert_close(output.loss, F.cross_entropy(output.logits, inputs["labels"]))
    embeds = model.get_input_embeddings()(inputs["input_ids"])
    assert torch.equal(model(inputs_embeds=embeds).logits, output.logits)
    with pytest.raises(NysformerError, match=r"\(batch, choices, tokens\)"):
        model(inputs["input_ids"][0])


def test_rows_for_every_choice(make: Make, labelled: Make) -> None:
    model, inputs = make("ForMultipleChoice"), labelled("ForMultipleChoice", 2, 20)
    rows = torch.arange(20) + 2
    for position_ids in (rows[None], rows[None, None], rows.expand(2, 3, 20)):
        assert torch.equal(model(position_ids=position_ids, **inputs).logits, model(**inputs).logits)
    with pytest.raises(NysformerError, match=r"attention_mask has shape \(2, 20\): pass \(batch, tokens\) = \(6, 20\)"):
        model(attention_mask=torch.ones(2, 20), **inputs)


@pytest.mark.parametrize("masked", [False, True])
def test_token_labels_of_another_shape(make: Make, masked: bool) -> None:
    mask = torch.ones(2, 20) if masked else None
    for shape in ((2, 19), (40,), (20, 2)):
        with pytest.raises(NysformerError, match=r"labels have shape .*: pass \(2, 20\)"):
            make("ForTokenClassification")(torch.full((2, 20), 5), mask, labels=torch.zeros(shape, dtype=torch.long))


def test_masked_places_have_no_logits(make: Make, labelled: Make) -> None:
    for name in ("ForMaskedLM", "ForTokenClassification"):
        inputs = labelled(name, 2, 20)
        mask = torch.ones(2, 20, dtype=torch.bool)
        mask[1, 9:] = False
        output = make(name)(attention_mask=mask, **inputs)
        assert not output.logits[~mask].any()
        torch.testing.assert_close(output.loss, F.cross_entropy(output.logits[mask], inputs["labels"][mask]))


def test_no_answer_lies_on_a_masked_place(make: Make, labelled: Make) -> None:
    inputs = labelled("ForQuestionAnswering", 2, 20)
    mask = torch.ones(2, 20, dtype=torch.bool)
    mask[:, 12:] = False
    output = make("ForQuestionAnswering")(inputs["input_ids"], mask)
    for logits in (output.start_logits, output.end_logits):
        assert (logits[:, 12:] == torch.finfo(torch.float32).min).all()
        assert not logits.softmax(-1)[:, 12:].any()


@pytest.mark.parametrize(
    ("name", "labels"),
    [
        ("ForSequenceClassification", torch.zeros(2, dtype=torch.long)),
        ("ForTokenClassification", torch.zeros(2, 20, dtype=torch.long)),
        ("ForMaskedLM", torch.zeros(2, 20, dtype=torch.long)),
    ],
)
def test_labels_do_not_change_the_configuration(make: Make, name: str, labels: torch.Tensor) -> None:
    model = make(name)
    before = model.config.to_dict()
    model(torch.randint(2, 99, (2, 20)), labels=labels)
    assert model.config.to_dict() == before


@pytest.mark.parametrize(
    ("num_labels", "labels", "expected"),
    [
        (1, torch.tensor([0.5, -1.0]), "regression"),
        (1, torch.tensor([[1], [0]]), "regression"),
        (3, torch.tensor([2, 0]), "single"),
        (3, torch.tensor([2, 0], dtype=torch.int32), "single"),
        (3, torch.tensor([[1.0, 0.0, 1.0], [0.0, 0.0, 1.0]]), "multi"),
    ],
)
def test_the_problem_type_is_inferred_each_time(
    make: Make, num_labels: int, labels: torch.Tensor, expected: str
) -> None:
    model = make("ForSequenceClassification", num_labels=num_labels)
    output = model(torch.randint(2, 99, (2, 20)), labels=labels)
    logits = output.logits
    losses = {
        "regression": lambda: F.mse_loss(logits.flatten(), labels.flatten().float()),
        "single": lambda: F.cross_entropy(logits, labels.long()),
        "multi": lambda: F.binary_cross_entropy_with_logits(logits, labels),
    }
    torch.testing.assert_close(output.loss, losses[expected]())
    assert model.config.problem_type is None


def test_question_answering_has_two_outputs_whatever_num_labels(make: Make, labelled: Make) -> None:
    model = make("ForQuestionAnswering", num_labels=7)
    assert model.config.num_labels == 7
    assert model.qa_outputs.weight.shape == (2, 32)
    output = model(**labelled("ForQuestionAnswering", 2, 20))
    assert model.config.num_labels == 7
    assert output.start_logits.shape == output.end_logits.shape == (2, 20)


def test_question_answering_with_one_position_has_no_loss(make: Make, labelled: Make) -> None:
    inputs = labelled("ForQuestionAnswering", 2, 20)
    del inputs["end_positions"]
    assert make("ForQuestionAnswering")(**inputs).loss is None


def test_your_own_head_on_the_backbone(make: Make) -> None:
    backbone = make("Model")
    head = torch.nn.Linear(32, 5)
    hidden = backbone(torch.randint(2, 99, (2, 20))).last_hidden_state
    head(hidden.mean(1)).sum().backward()
    assert all(p.grad is not None for p in backbone.parameters())
