"""Any length, padding, batch mates, holes, poison, empty documents: for the backbone and the five heads."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

Make = Callable[..., Any]
HEADS = [
    "ForMaskedLM",
    "ForSequenceClassification",
    "ForMultipleChoice",
    "ForTokenClassification",
    "ForQuestionAnswering",
]
TOLERANCE = {torch.float64: 1e-9, torch.float32: 1e-5}
MODES: dict[str, dict[str, Any]] = {
    "auto": {"attention_mode": "auto"},
    "nystrom": {"attention_mode": "nystrom"},
    "softmax": {"attention_mode": "softmax"},
    "clusters": {"attention_mode": "nystrom", "landmarks": "clusters"},
}
PER_TOKEN = {"Model", "ForMaskedLM", "ForTokenClassification", "ForQuestionAnswering"}


def scores(name: str, model: Any, **inputs: Any) -> Tensor:
    """What the model says: (B, N, ...) or (B, ...)."""
    output = model(**inputs)
    if name == "Model":
        return output.last_hidden_state
    if name == "ForQuestionAnswering":
        return torch.stack([output.start_logits, output.end_logits], dim=-1)
    return output.logits


@st.composite
def batches(draw: st.DrawFn) -> dict[str, Any]:
    """Options of a model, and a padded batch with holes: its mask, ids, types."""
    lengths = draw(st.lists(st.one_of(st.integers(1, 60), st.integers(7, 10)), min_size=1, max_size=4))
    size = max(lengths) + draw(st.sampled_from([0, 1, 30]))
    holes = draw(st.booleans())
    generator = torch.Generator().manual_seed(draw(st.integers(0, 99)))
    mask = torch.zeros(len(lengths), size, dtype=torch.bool)
    for row, length in zip(mask, lengths, strict=True):
        row[torch.randperm(size, generator=generator)[:length] if holes else slice(length)] = True
    return {
        "mask": mask,
        "ids": torch.randint(2, 99, mask.shape, generator=generator),
        "types": torch.randint(2, mask.shape, generator=generator),
        "options": {
            "attention_mode": draw(st.sampled_from(["auto", "nystrom", "softmax"])),
            "softmax_max_length": draw(st.sampled_from([0, 20])),
            "num_landmarks": draw(st.sampled_from([1, 8, 64])),
            "landmarks": draw(st.sampled_from(["segments", "clusters"])),
            "layer_overrides": draw(st.sampled_from([None, {1: {"num_landmarks": 4, "softmax_max_length": 12}}])),
            "conv_kernel_size": draw(st.sampled_from([None, 1, 5, 65])),
            "inv_coeff_init_option": draw(st.booleans()),
            "chunk_size_feed_forward": draw(st.sampled_from([0, 7])),
        },
    }


def gradients(model: Any, total: Tensor) -> list[Tensor]:
    parameters = [p for p in model.parameters() if p.requires_grad]
    found = torch.autograd.grad(total, parameters, allow_unused=True)
    return [torch.zeros_like(p) if g is None else g for p, g in zip(parameters, found, strict=True)]


@pytest.mark.parametrize("name", ["Model", *HEADS])
@settings(max_examples=12)
@given(batch=batches(), dtype=st.sampled_from([torch.float64, torch.float32]))
def test_a_document_alone_says_the_same(make: Make, name: str, batch: dict[str, Any], dtype: torch.dtype) -> None:
    """I1, I2, I3, I10: in a padded batch with holes and garbage ids under the mask, and alone at its position ids."""
    if batch["options"]["landmarks"] == "clusters":
        dtype = torch.float64  # in float32 the last digit may decide where a token belongs
    model = make(name, **batch["options"]).to(dtype)
    mask = batch["mask"]
    poison = {"input_ids": 10**9, "token_type_ids": -7, "position_ids": 10**6}
    positions = torch.arange(mask.shape[1]).expand(mask.shape) + 2
    inputs = {"input_ids": batch["ids"], "token_type_ids": batch["types"], "position_ids": positions}
    padded = {key: value.masked_fill(~mask, poison[key]) for key, value in inputs.items()}
    padded["attention_mask"] = mask
    if name == "ForMultipleChoice":
        padded = {key: value[None] for key, value in padded.items()}
    together = scores(name, model, **padded)
    if name == "ForMultipleChoice":
        together = together[0]
    size = together.detach().abs().max().clamp(min=1)  # a single logit may come near 0, its terms are of unit scale
    seeds = torch.randn(together.shape, generator=torch.Generator().manual_seed(1)).to(dtype)
    sum_together, sum_alone = torch.zeros((), dtype=dtype), torch.zeros((), dtype=dtype)
    for b, row in enumerate(mask):
        document = {key: value[b : b + 1, row] for key, value in inputs.items()}
        if name == "ForMultipleChoice":
            document = {key: value[None] for key, value in document.items()}
        alone = scores(name, model, **document)[0]
        here = together[b, row] if name in PER_TOKEN else together[b]
        seed = seeds[b, row] if name in PER_TOKEN else seeds[b]
        assert (here - alone.view_as(here)).abs().max() <= TOLERANCE[dtype] * size
        sum_together, sum_alone = sum_together + (here * seed).sum(), sum_alone + (alone.view_as(here) * seed).sum()
    ours, truth = gradients(model, sum_together), gradients(model, sum_alone)
    scale = max(gradient.abs().max() for gradient in truth)
    assert max((a - b).abs().max() for a, b in zip(ours, truth, strict=True)) <= TOLERANCE[dtype] * scale


@pytest.mark.parametrize("mode", ["auto", "softmax", "clusters"])
@pytest.mark.parametrize("name", ["Model", *HEADS])
def test_poison_in_inputs_embeds(make: Make, labelled: Make, name: str, mode: str) -> None:
    model = make(name, **MODES[mode])
    inputs = labelled(name, 2, 30)
    embeds = model.get_input_embeddings()(inputs.pop("input_ids")).detach()
    mask = torch.ones(embeds.shape[:-1], dtype=torch.bool)
    mask[0, ..., 11:] = False
    mask[1, ..., 3] = False
    inputs = {key: value.clamp(max=10) for key, value in inputs.items()}  # answers lie on real tokens
    results = []
    for fill in (0.0, float("nan")):
        leaf = embeds.masked_fill(~mask[..., None], fill).requires_grad_()
        model.zero_grad()
        output = model(inputs_embeds=leaf, attention_mask=mask, **inputs)
        loss = output.last_hidden_state.square().mean() if name == "Model" else output.loss
        loss.backward()
        assert leaf.grad is not None
        assert not leaf.grad[~mask].any()
        results.append([loss.detach(), leaf.grad, *(p.grad for p in model.parameters() if p.grad is not None)])
    assert all(torch.equal(a, b) for a, b in zip(*results, strict=True))
    assert all(x.isfinite().all() for x in results[0])


@pytest.mark.parametrize("name", ["Model", *HEADS])
def test_short_documents_are_softmax(make: Make, labelled: Make, name: str) -> None:
    """I6."""
    inputs = labelled(name, 2, 8)
    landmarks, softmax = (scores(name, make(name, **MODES[mode]), **inputs) for mode in ("nystrom", "softmax"))
    assert torch.equal(landmarks, softmax)


@pytest.mark.parametrize("name", ["Model", *HEADS])
def test_softmax_max_length(make: Make, labelled: Make, name: str) -> None:
    inputs = labelled(name, 2, 20)
    softmax, auto, nystrom, shorter = (
        scores(name, make(name, **options), **inputs)
        for options in (
            {"attention_mode": "softmax"},
            {"attention_mode": "auto", "softmax_max_length": 20},
            {"attention_mode": "nystrom", "softmax_max_length": 20},
            {"attention_mode": "auto", "softmax_max_length": 19},
        )
    )
    assert torch.equal(softmax, auto)
    assert torch.equal(nystrom, shorter)
    assert not torch.allclose(softmax, nystrom)


@pytest.mark.parametrize("mode", ["auto", "softmax", "clusters"])
def test_masked_places_are_exactly_zero(make: Make, mode: str) -> None:
    model = make("Model", **MODES[mode])
    ids, mask = torch.randint(2, 99, (3, 40)), torch.rand(3, 40) < 0.6
    mask[2] = False
    output = model(ids, mask, output_hidden_states=True, output_attentions=True)
    assert len(output.hidden_states) == 3
    for hidden in (*output.hidden_states, output.last_hidden_state):
        assert not hidden[~mask].any()
        assert hidden[mask].abs().sum(-1).min() > 0
    for full in output.attentions:
        assert full.shape == (3, 4, 40, 40)
        assert not full.transpose(1, 2)[~mask].any()
        assert not full.permute(0, 3, 1, 2)[~mask].any()


@pytest.mark.parametrize("mode", ["auto", "softmax", "clusters"])
@pytest.mark.parametrize("with_maps", [False, True])
def test_a_fully_masked_document_gives_zero_gradients(make: Make, mode: str, with_maps: bool) -> None:
    model = make("Model", **MODES[mode])
    embeds = torch.randn(2, 30, 32, requires_grad=True)
    mask = torch.tensor([[True], [False]]).expand(2, 30)
    hidden = model(inputs_embeds=embeds, attention_mask=mask, output_attentions=with_maps).last_hidden_state
    assert not hidden[1].any()
    assert not any(gradient.any() for gradient in gradients(model, hidden[1].sum()))
    model(inputs_embeds=embeds, attention_mask=mask).last_hidden_state.square().sum().backward()
    assert embeds.grad is not None
    assert embeds.grad[0].any()
    assert not embeds.grad[1].any()


@pytest.mark.parametrize("mode", ["auto", "softmax", "clusters"])
@pytest.mark.parametrize("name", HEADS)
def test_everything_masked(make: Make, labelled: Make, name: str, mode: str) -> None:
    model = make(name, **MODES[mode]).train()
    inputs = labelled(name, 2, 30)
    mask = torch.zeros_like(inputs["input_ids"])
    output = model(attention_mask=mask, output_attentions=True, output_hidden_states=True, **inputs)
    output.loss.backward()
    assert output.loss.isfinite()
    assert not any(full.any() for full in output.attentions)
    assert all(p.grad is None or p.grad.isfinite().all() for p in model.parameters())
    if name in PER_TOKEN:
        assert output.loss == 0


@pytest.mark.parametrize("name", HEADS)
def test_all_labels_ignored(make: Make, labelled: Make, name: str) -> None:
    model = make(name)
    inputs = labelled(name, 2, 30)
    ignored = 30 if name == "ForQuestionAnswering" else -100
    for key in inputs.keys() - {"input_ids"}:
        inputs[key] = torch.full_like(inputs[key], ignored)
    loss = model(**inputs).loss
    assert loss == 0
    loss.backward()
    assert not any(p.grad is not None and p.grad.any() for p in model.parameters())


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("mode", ["nystrom", "softmax", "clusters"])
@pytest.mark.parametrize("name", ["Model", *HEADS])
def test_half_precision(make: Make, labelled: Make, name: str, mode: str, dtype: torch.dtype) -> None:
    """I4: forward and backward, with a padded batch, finite and near the float64 model of the same weights."""
    model = make(name, **MODES[mode]).to(dtype)
    inputs = labelled(name, 2, 50)
    mask = torch.ones_like(inputs["input_ids"])
    mask[1, ..., 20:] = 0
    mask[0, ..., 4] = 0
    output = model(attention_mask=mask, **inputs)
    loss = output.last_hidden_state.float().square().mean() if name == "Model" else output.loss
    loss.backward()
    assert loss.isfinite()
    assert all(p.grad is None or p.grad.isfinite().all() for p in model.parameters())
    said = scores(name, model, attention_mask=mask, **inputs)
    truth = scores(name, model.double(), attention_mask=mask, **inputs)
    real = mask.bool() if name in PER_TOKEN else ...
    assert said.dtype == dtype
    assert (said - truth)[real].square().mean().sqrt() < 8 * torch.finfo(dtype).eps * truth[real].abs().max()


@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize("name", ["Model", *HEADS])
def test_autocast(make: Make, labelled: Make, name: str, padded: bool) -> None:
    model = make(name).train()
    inputs = labelled(name, 2, 50)
    if padded:
        mask = torch.ones_like(inputs["input_ids"])
        mask[1, ..., 40:] = 0
        inputs["attention_mask"] = mask
    with torch.autocast("cpu", dtype=torch.bfloat16):
        output = model(**inputs)
        loss = output.last_hidden_state.float().square().mean() if name == "Model" else output.loss
    loss.backward()
    assert loss.dtype == torch.float32
    assert all(p.grad is None or p.grad.isfinite().all() for p in model.parameters())
