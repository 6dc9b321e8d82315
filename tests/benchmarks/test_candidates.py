"""Candidates are of one shape; ours and transformers' have the same weights."""

from dataclasses import replace

import pytest
import torch

from benchmarks.candidates import BASE, CANDIDATES, NOTES, Size, check_length, find, forward_task
from nysformer.errors import NysformerError

BUILT = [candidate for candidate in CANDIDATES if candidate.family != "nysformer compiled" and candidate.is_available()]


@pytest.mark.parametrize("candidate", BUILT, ids=lambda candidate: candidate.name)
def test_every_candidate_runs(candidate: object, size: Size) -> None:
    assert candidate in CANDIDATES
    model = candidate.build(size, 64)
    hidden = forward_task(model, size, 64, batch=2)()
    assert hidden.numel() == 2 * 64 * size.hidden
    assert hidden.isfinite().all()
    assert not hidden.requires_grad
    assert hidden.dtype == (torch.float32 if candidate.precision == "float32" else torch.bfloat16)


def test_ours_and_theirs_are_the_same_function_at_every_length(size: Size) -> None:
    for length in (32, 64):
        ours, theirs = (
            forward_task(find(f"{family} float32").build(size, length), size, length)()
            for family in ("nysformer", "transformers")
        )
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-5)


def test_the_limit_has_each_layers_linear_layers_and_nothing_else(size: Size) -> None:
    products = find("limit float32").build(size, 64).products
    ours = find("nysformer float32").build(size, 64)
    for made, layer in zip(products, ours.encoder.layer, strict=True):
        linear = [tuple(module.weight.shape) for module in layer.modules() if isinstance(module, torch.nn.Linear)]
        assert [tuple(product.weight.shape) for product in made] == linear
    weights = {product.weight.data_ptr() for made in products for product in made}
    assert len(weights) == 6 * size.layers


def test_modernbert_multiplies_as_much_as_the_others() -> None:
    size = replace(BASE, layers=1, vocabulary=100, positions=128)
    modern, ours = (find(name).build(size, 128) for name in ("ModernBERT float32", "nysformer float32"))

    def products(model: torch.nn.Module) -> int:
        return sum(module.weight.numel() for module in model.modules() if isinstance(module, torch.nn.Linear))

    assert products(modern) == products(ours)


@pytest.mark.parametrize("length", [0, 8, 60])
def test_lengths_transformers_cannot_have_are_refused(length: int, size: Size) -> None:
    with pytest.raises(NysformerError, match="a multiple of 8 above 8"):
        check_length(length, size)


def test_peers_are_explained() -> None:
    assert {candidate.family for candidate in CANDIDATES} - set(NOTES) == {
        "nysformer",
        "nysformer optimized",
        "nysformer compiled",
    }
