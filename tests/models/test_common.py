"""What transformers expects of every model, for every class of ours, in softmax and in Nyström mode."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import nysformer

Make = Callable[..., Any]
NAMES = [
    "Model",
    "ForMaskedLM",
    "ForSequenceClassification",
    "ForMultipleChoice",
    "ForTokenClassification",
    "ForQuestionAnswering",
]
LENGTH = 40  # five times the landmarks

pytestmark = [pytest.mark.parametrize("mode", ["softmax", "nystrom"]), pytest.mark.parametrize("name", NAMES)]


def outputs(model: Any, inputs: dict[str, Tensor], **options: Any) -> list[Tensor]:
    """Every tensor of the output, hidden states and maps too."""
    found = []
    for value in model(**inputs, return_dict=True, **options).values():
        found += list(value) if isinstance(value, tuple) else [value]
    return found


def close(one: list[Tensor], other: list[Tensor], tolerance: float = 1e-5) -> None:
    assert len(one) == len(other)
    for a, b in zip(one, other, strict=True):
        torch.testing.assert_close(a, b, rtol=tolerance, atol=tolerance)


def labels_of(inputs: dict[str, Tensor]) -> dict[str, Tensor]:
    return {key: value for key, value in inputs.items() if key != "input_ids"}


def gradients(model: Any, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
    model.zero_grad()
    first = model(**inputs)[0]
    (first if first.dim() == 0 else first.square().mean()).backward()
    return {key: value.grad.clone() for key, value in model.named_parameters() if value.grad is not None}


def test_saved_and_loaded_whole(make: Make, labelled: Make, tmp_path: Path, name: str, mode: str) -> None:
    model, inputs = make(name, attention_mode=mode), labelled(name, 2, LENGTH)
    model.save_pretrained(tmp_path)
    again, info = type(model).from_pretrained(tmp_path, output_loading_info=True)
    assert not any(info.values()), info
    assert again.config.resolved_attention_mode == mode
    close(outputs(again, inputs), outputs(model, inputs), 1e-6)


def test_on_the_meta_device_and_filled(make: Make, labelled: Make, tiny: Make, name: str, mode: str) -> None:
    model, inputs = make(name, attention_mode=mode), labelled(name, 2, LENGTH)
    with torch.device("meta"):
        empty = type(model)(tiny(attention_mode=mode))
    empty = empty.to_empty(device="cpu").eval()
    empty.tie_weights()
    empty.load_state_dict(model.state_dict())
    close(outputs(empty, inputs), outputs(model, inputs), 0.0)


def test_resized_embeddings(make: Make, labelled: Make, name: str, mode: str) -> None:
    model, inputs = make(name, attention_mode=mode), labelled(name, 2, LENGTH)
    ids = {"input_ids": inputs["input_ids"]}
    before = outputs(model, ids)
    with torch.random.fork_rng():
        table = model.resize_token_embeddings(120, mean_resizing=False)
    assert table is model.get_input_embeddings()
    assert (table.num_embeddings, model.config.vocab_size) == (120, 120)
    after = outputs(model, ids)
    if name == "ForMaskedLM":
        assert model.get_output_embeddings().weight is table.weight
        after[0] = after[0][..., : before[0].shape[-1]]
    close(after, before)


def test_gradient_checkpointing_changes_nothing(make: Make, labelled: Make, name: str, mode: str) -> None:
    model, inputs = make(name, attention_mode=mode), labelled(name, 2, LENGTH)
    before = gradients(model, inputs)
    model.train()  # there is no checkpointing without
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
        if hasattr(module, "dropout") and isinstance(module.dropout, float):
            module.dropout = 0.0
    model.activation_checkpointing_enable()
    assert model.is_activation_checkpointing
    on = gradients(model, inputs)
    model.activation_checkpointing_disable()
    off = gradients(model, inputs)
    assert before.keys() == on.keys() == off.keys()
    for key in before:
        torch.testing.assert_close(on[key], off[key], rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(before[key], off[key], rtol=1e-5, atol=1e-6)


def test_shapes_of_hidden_states_and_maps(make: Make, labelled: Make, name: str, mode: str) -> None:
    model, inputs = make(name, attention_mode=mode), labelled(name, 2, LENGTH)
    output = model(**inputs, output_hidden_states=True, output_attentions=True)
    rows = 2 * (3 if name == "ForMultipleChoice" else 1)
    assert [tuple(state.shape) for state in output.hidden_states] == [(rows, LENGTH, 32)] * 3
    assert [tuple(each.shape) for each in output.attentions] == [(rows, 4, LENGTH, LENGTH)] * 2
    plain = model(**inputs)
    assert plain.hidden_states is plain.attentions is None


def test_tuples_say_what_dictionaries_say(make: Make, labelled: Make, name: str, mode: str) -> None:
    model, inputs = make(name, attention_mode=mode), labelled(name, 2, LENGTH)
    options = {"output_hidden_states": True, "output_attentions": True}
    named = model(**inputs, **options).to_tuple()
    plain = model(**inputs, **options, return_dict=False)
    assert isinstance(plain, tuple)
    for a, b in zip(named, plain, strict=True):
        pairs = zip(a, b, strict=True) if isinstance(a, tuple) else [(a, b)]
        assert all(torch.equal(x, y) for x, y in pairs)


def test_a_batch_says_what_its_documents_say(make: Make, labelled: Make, name: str, mode: str) -> None:
    model, inputs = make(name, attention_mode=mode), labelled(name, 4, LENGTH)
    ids = inputs["input_ids"]
    options = {"output_hidden_states": True, "output_attentions": True}
    together = outputs(model, {"input_ids": ids}, **options)
    alone = [outputs(model, {"input_ids": row[None]}, **options) for row in ids]
    close(together, [torch.cat(parts) for parts in zip(*alone, strict=True)])


def test_inputs_embeds_are_input_ids(make: Make, labelled: Make, name: str, mode: str) -> None:
    model, inputs = make(name, attention_mode=mode), labelled(name, 2, LENGTH)
    embedded = model.get_input_embeddings()(inputs["input_ids"])
    close(outputs(model, {**labels_of(inputs), "inputs_embeds": embedded}), outputs(model, inputs), 0.0)


def test_chunked_feed_forward_changes_nothing(make: Make, labelled: Make, name: str, mode: str) -> None:
    model, inputs = make(name, attention_mode=mode), labelled(name, 2, LENGTH)
    chunked = make(name, attention_mode=mode, chunk_size_feed_forward=7)
    close(outputs(chunked, inputs), outputs(model, inputs))
    whole, parts = gradients(model, inputs), gradients(chunked, inputs)
    close(list(parts.values()), [whole[key] for key in parts])


def test_the_same_twice(make: Make, labelled: Make, name: str, mode: str) -> None:
    model, inputs = make(name, attention_mode=mode), labelled(name, 2, LENGTH)
    close(outputs(model, inputs), outputs(model, inputs), 0.0)
    model.train()
    torch.manual_seed(3)
    one = outputs(model, inputs)
    torch.manual_seed(3)
    close(one, outputs(model, inputs), 0.0)


def test_every_parameter_learns(make: Make, labelled: Make, name: str, mode: str) -> None:
    model, inputs = make(name, attention_mode=mode), labelled(name, 2, LENGTH)
    found = gradients(model, inputs)
    untouched = {key for key, value in found.items() if not value.any()}
    assert all(value.isfinite().all() for value in found.values())
    assert set(dict(model.named_parameters())) == set(found)
    # A bias added to every key, or to every start and end, leaves each softmax as it is; rounding alone moves it.
    assert not {key for key in untouched if not key.endswith(("key.bias", "qa_outputs.bias"))}


def test_a_bare_backbone_and_its_prefix(make: Make, name: str, mode: str) -> None:
    model = make(name, attention_mode=mode)
    assert type(model.base_model) is nysformer.NystromformerModel
    assert model.base_model.get_input_embeddings() is model.get_input_embeddings()
    assert (model.base_model is model) == (name == "Model")
