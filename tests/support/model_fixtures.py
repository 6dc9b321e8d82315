"""Tiny models with weights large enough to tell right from wrong, and a batch for each of them."""

import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers.utils import logging as transformers_logging

import nysformer
from nysformer import NystromformerConfig, NystromformerPreTrainedModel

VOCABULARY = 99
Make = Callable[..., Any]


def stirred(model: Any, seed: int = 0) -> Any:
    """Weights of about unit effect, so that attention is not uniform, the same for every model of one shape."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in sorted(model.named_parameters()):
            noise = torch.randn(parameter.shape, generator=generator, dtype=torch.float64).to(parameter.dtype)
            one = 1.0 if name.endswith("LayerNorm.weight") else 0.0
            # 32 inputs of unit scale give an output of unit scale.
            parameter.copy_(one + (32**-0.5 if parameter.dim() > 1 else 0.1) * noise)
    return model


@pytest.fixture(scope="session")
def tiny() -> Make:
    """A configuration of 2 layers, 4 heads of 8, 8 landmarks, 256 positions; keyword arguments override."""

    def build(**overrides: Any) -> NystromformerConfig:
        values: dict[str, Any] = {
            "vocab_size": VOCABULARY,
            "hidden_size": 32,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "intermediate_size": 48,
            "max_position_embeddings": 256,
            "num_landmarks": 8,
            "conv_kernel_size": 5,
            "num_labels": 3,
        }
        return NystromformerConfig(**{**values, **overrides})

    return build


@pytest.fixture(scope="session")
def make(tiny: Make) -> Make:
    """The model of that name ("Model", "ForMaskedLM", ...), stirred, in eval mode."""

    def build(name: str, **overrides: Any) -> NystromformerPreTrainedModel:
        return stirred(getattr(nysformer, f"Nystromformer{name}")(tiny(**overrides))).eval()

    return build


@pytest.fixture(scope="session")
def labelled() -> Make:
    """input_ids and labels for the model of that name: B documents (times 3 choices) of N tokens."""

    def build(name: str, batch: int, length: int, seed: int = 0) -> dict[str, Tensor]:
        generator = torch.Generator().manual_seed(seed)

        def draw(below: int, *shape: int) -> Tensor:
            return torch.randint(below, shape, generator=generator)

        choices = (3,) if name == "ForMultipleChoice" else ()
        inputs = {"input_ids": draw(VOCABULARY - 2, batch, *choices, length) + 2}
        if name == "ForQuestionAnswering":
            inputs |= {"start_positions": draw(length, batch), "end_positions": draw(length, batch)}
        elif name == "ForMaskedLM":
            inputs["labels"] = draw(VOCABULARY, batch, length)
        elif name == "ForTokenClassification":
            inputs["labels"] = draw(3, batch, length)
        elif name != "Model":
            inputs["labels"] = draw(3, batch)
        return inputs

    return build


@pytest.fixture
def warned(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], list[str]]]:
    """Warnings logged so far by this library and by transformers, as if nothing had been said once before."""
    transformers_logging.warning_once.cache_clear()
    theirs = logging.getLogger("transformers")
    # Straight to the handler, and only there: whether records also reach the root is up to what else was imported.
    monkeypatch.setattr(theirs, "propagate", False)
    theirs.addHandler(caplog.handler)
    caplog.set_level(logging.WARNING)
    yield lambda: [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    theirs.removeHandler(caplog.handler)
