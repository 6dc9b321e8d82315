"""Document vectors against exact ones."""

import pytest
import torch

from nysformer.tasks.fidelity import fidelity


def test_by_hand() -> None:
    exact = torch.tensor([[3.0, 1.0], [1.0, 1.0]])  # one from their mean, each
    moved = fidelity(exact + torch.tensor([0.0, 0.5]), exact)
    assert moved.relative_error == pytest.approx(0.5)
    assert moved.shift == pytest.approx(0.5)
    assert moved.centred_cosine == pytest.approx(1 / 1.25**0.5)
    swapped = fidelity(exact.flip(0), exact)
    assert swapped.relative_error == pytest.approx(2)
    assert swapped.shift == pytest.approx(0)
    assert swapped.centred_cosine == pytest.approx(-1)
    assert swapped.cosine > 0.8


def test_the_same_vectors() -> None:
    exact = torch.randn(5, 8)
    assert fidelity(exact, exact).as_dict() == pytest.approx(
        {"relative_error": 0, "centred_cosine": 1, "cosine": 1, "shift": 0}
    )
