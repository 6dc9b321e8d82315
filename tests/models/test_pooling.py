"""What a head reads of whole documents: the first token, the mean, a learned mean; packed, recorded, masked, small."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from nysformer import NystromformerConfig, NystromformerForSequenceClassification
from nysformer.models.packing import Packing
from nysformer.models.pooling import FeatureScaling, Pooling

Make = Callable[..., Any]
KINDS = ["first", "mean", "attention"]
HEADS = ["ForSequenceClassification", "ForMultipleChoice"]
DTYPES = [torch.float64, torch.float32, torch.bfloat16, torch.float16]


@pytest.fixture
def mask() -> Tensor:
    """Lengths out of order, two of them equal, holes, a late start, and a document without a token."""
    mask = torch.rand(6, 12, generator=torch.Generator().manual_seed(0)) < 0.6
    mask[0, :3], mask[2], mask[3], mask[4] = False, False, True, mask[1].flip(0)
    return mask


def pooling_of(kind: str, dtype: torch.dtype = torch.float64) -> Pooling:
    pooling = Pooling(NystromformerConfig(hidden_size=8, num_attention_heads=2, classifier_pooling=kind))
    if pooling.query is not None:
        with torch.no_grad():
            pooling.query.normal_(generator=torch.Generator().manual_seed(1)).mul_(3)
    return pooling.to(dtype)


def by_hand(pooling: Pooling, states: Tensor, mask: Tensor) -> Tensor:
    """Document by document."""
    rows = []
    for document, real in zip(states, mask, strict=True):
        tokens = document[real]
        if not len(tokens):
            rows.append(states.new_zeros(states.shape[-1]))
        elif pooling.query is not None:
            rows.append((tokens @ pooling.query / states.shape[-1] ** 0.5).softmax(0) @ tokens)
        else:
            rows.append(tokens[0] if pooling.kind == "first" else tokens.mean(0))
    return torch.stack(rows)


@pytest.mark.parametrize("recorded", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_documents_one_by_one(kind: str, mask: Tensor, recorded: bool) -> None:
    pooling = pooling_of(kind)
    states = torch.randn(6, 12, 8, dtype=torch.float64).masked_fill(~mask[..., None], 0.0).requires_grad_()
    for real in (mask, torch.ones_like(mask), None):
        packing = Packing((6, 12), real, None) if recorded else Packing.read(real, (6, 12))
        given = mask if real is mask else torch.ones_like(mask)
        wanted = [states, *pooling.parameters()]
        cotangent = torch.randn(6, 8, dtype=torch.float64)
        pooled, truth = pooling(packing.pack(states), packing), by_hand(pooling, states, given)
        torch.testing.assert_close(pooled, truth, rtol=1e-12, atol=1e-12)
        ours, theirs = (torch.autograd.grad(each, wanted, cotangent) for each in (pooled, truth))
        torch.testing.assert_close(ours[0][given], theirs[0][given], rtol=1e-12, atol=1e-12)
        torch.testing.assert_close(ours[1:], theirs[1:], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("recorded", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_no_token_at_all(kind: str, recorded: bool) -> None:
    pooling, mask = pooling_of(kind), torch.zeros(2, 3, dtype=torch.bool)
    packing = Packing((2, 3), mask, None) if recorded else Packing.read(mask, (2, 3))
    pooled = pooling(packing.pack(torch.zeros(2, 3, 8, dtype=torch.float64)), packing)
    assert pooled.shape == (2, 8)
    assert not pooled.any()
    if pooling.query is not None:
        (gradient,) = torch.autograd.grad(pooled.sum(), pooling.query)
        assert not gradient.any()


def test_attention_begins_as_the_mean(make: Make) -> None:
    ids = torch.randint(2, 99, (2, 30))
    model = make("ForSequenceClassification", classifier_pooling="attention").double()
    with torch.no_grad():
        model.pooling.query.zero_()
    mean = make("ForSequenceClassification", classifier_pooling="mean").double()
    mean.load_state_dict({name: value for name, value in model.state_dict().items() if name != "pooling.query"})
    torch.testing.assert_close(model(ids).logits, mean(ids).logits, rtol=1e-12, atol=1e-12)
    model(ids, labels=torch.tensor([0, 2])).loss.backward()
    assert model.pooling.query.grad.abs().max() > 0, "zero is no stationary point"


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", ["mean", "attention"])
def test_every_dtype_sums_precisely(kind: str, dtype: torch.dtype) -> None:
    """20,000 tokens of about 40 sum beyond the range of float16; the result is as exact as one rounding."""
    states = (40 + torch.randn(1, 20_000, 8, generator=torch.Generator().manual_seed(0))).to(dtype).requires_grad_()
    pooling = pooling_of(kind, dtype)
    pooled = pooling(states.flatten(0, 1), Packing.read(None, (1, 20_000)))
    truth = by_hand(pooling.double(), states.double(), torch.ones(1, 20_000, dtype=torch.bool))
    assert pooled.dtype == dtype
    # float32 sums and scores of hundreds cost a few thousandths of a per mille.
    bound = max(torch.finfo(dtype).eps, 1e-5 if dtype != torch.float64 else 1e-12)
    torch.testing.assert_close(pooled.double(), truth, rtol=bound, atol=0.0)
    pooled.sum().backward()
    assert states.grad is not None
    assert states.grad.isfinite().all()


@pytest.mark.parametrize("kind", ["mean", "attention"])
@pytest.mark.parametrize(("name", "layers"), [*((name, "last") for name in HEADS), (HEADS[0], "first+last")])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_padding_mates_holes_and_poison(
    make: Make, name: str, layers: str, kind: str, dtype: torch.dtype, mask: Tensor
) -> None:
    """I2, I3, I8, I10 for heads that read every token."""
    model = make(name, classifier_pooling=kind, classifier_layers=layers).to(dtype)
    ids = torch.randint(2, 99, (6, 12), generator=torch.Generator().manual_seed(2))
    embeds = model.get_input_embeddings()(ids).detach().masked_fill(~mask[..., None], float("nan"))
    positions = torch.arange(12).expand(6, 12) + 2

    def logits(**inputs: Tensor) -> Tensor:
        if name == "ForMultipleChoice":
            return model(**{key: value[None] for key, value in inputs.items()}).logits[0]
        return model(**inputs).logits

    together = logits(inputs_embeds=embeds, attention_mask=mask)
    assert together.isfinite().all()
    tolerance = 1e-9 if dtype == torch.float64 else 1e-5
    for b, real in enumerate(mask):
        if real.any():
            alone = logits(input_ids=ids[b : b + 1, real], position_ids=positions[b : b + 1, real])[0]
            torch.testing.assert_close(together[b], alone, rtol=tolerance, atol=tolerance)
    model.zero_grad()
    (logits(input_ids=ids[:2], attention_mask=torch.zeros(2, 12))).square().sum().backward()
    assert all(p.grad is None or not p.grad.any() for p in model.nystromformer.parameters())
    poolings = [each for each in model.modules() if isinstance(each, Pooling)]
    assert len(poolings) == (1 if layers == "last" else 2)
    assert all(p.grad is None or not p.grad.any() for each in poolings for p in each.parameters())


@pytest.mark.parametrize("name", HEADS)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision(make: Make, labelled: Make, name: str, dtype: torch.dtype) -> None:
    for kind in KINDS:
        output = make(name, classifier_pooling=kind).to(dtype)(**labelled(name, 2, 30))
        output.loss.backward()
        assert output.logits.dtype == dtype
        assert output.loss.isfinite()


def test_features_are_what_the_classifier_reads(make: Make) -> None:
    for kind in KINDS:
        model = make("ForSequenceClassification", classifier_pooling=kind)
        ids, mask = torch.randint(2, 99, (2, 20)), torch.ones(2, 20)
        mask[0, 9:] = 0
        features = model.features(ids, mask)
        assert features.shape == (2, 32)
        assert torch.equal(model.classifier(features), model(ids, mask).logits)


@pytest.mark.parametrize("kind", KINDS)
def test_saved_and_loaded(make: Make, tmp_path: Path, kind: str) -> None:
    model = make("ForSequenceClassification", classifier_pooling=kind)
    model.save_pretrained(tmp_path)
    again = NystromformerForSequenceClassification.from_pretrained(tmp_path)
    ids = torch.randint(2, 99, (2, 20))
    assert again.config.classifier_pooling == kind
    assert ("pooling.query" in again.state_dict()) == (kind == "attention")
    assert torch.equal(again(ids).logits, model(ids).logits)


def test_a_pooling_that_the_folder_does_not_have_begins_as_the_mean(make: Make, tmp_path: Path) -> None:
    make("ForSequenceClassification").save_pretrained(tmp_path)
    model = NystromformerForSequenceClassification.from_pretrained(tmp_path, classifier_pooling="attention")
    assert not model.pooling.query.any()


def test_scaling_begins_as_the_identity_and_drops_to_the_mean() -> None:
    scaling = FeatureScaling(3)
    features = torch.tensor([[1.0, -2.0, 500.0], [3.0, -2.5, 501.0]])
    assert torch.equal(scaling(features), features)
    scaling.mean.copy_(features.mean(0))
    scaling.scale.copy_(1 / features.std(0, correction=0))
    assert torch.equal(scaling(features), torch.tensor([[-1.0, 1.0, -1.0], [1.0, -1.0, 1.0]]))
    assert scaling(features.bfloat16()).dtype == torch.bfloat16
    scaling.reset()
    assert torch.equal(scaling(features), features)


@pytest.mark.parametrize("layers", ["last", "first+last"])
def test_a_head_with_scaling_reads_what_is_standardised(make: Make, tmp_path: Path, layers: str) -> None:
    settings = {"classifier_pooling": "mean", "classifier_layers": layers}
    plain = make("ForSequenceClassification", **settings).double()
    scaled = make("ForSequenceClassification", classifier_scaling=True, **settings).double()
    scaled.load_state_dict(plain.state_dict(), strict=False)
    ids = torch.randint(2, 99, (4, 40), generator=torch.Generator().manual_seed(0))
    assert torch.equal(scaled(ids).logits, plain(ids).logits)
    features = plain.features(ids)
    scaled.classifier.scaling.mean.copy_(features.mean(0))
    scaled.classifier.scaling.scale.fill_(4.0)
    expected = plain.classifier(4.0 * (features - features.mean(0)))
    torch.testing.assert_close(scaled(ids).logits, expected, rtol=1e-12, atol=1e-12)
    scaled.save_pretrained(tmp_path)
    loaded = NystromformerForSequenceClassification.from_pretrained(tmp_path, dtype=torch.float64)
    assert torch.equal(loaded(ids).logits, scaled(ids).logits)
