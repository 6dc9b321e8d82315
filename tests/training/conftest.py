"""Three kinds of documents that a tiny classifier can tell apart, and a tiny classifier to begin with."""

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import pytest
import torch
from tiny import LETTERS, save_classifier

from nysformer import NystromformerConfig, NystromformerForSequenceClassification
from nysformer.training.options import FinetuneOptions
from nysformer.training.trainer import TokenBudgetTrainer


@pytest.fixture(autouse=True, scope="session")
def datasets_cache(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path_factory.mktemp("datasets-cache"))
        yield


@pytest.fixture(scope="session")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder of two labels; its head does not fit the three of the documents. Not to be changed."""
    folder = save_classifier(tmp_path_factory.mktemp("encoder"), labels=("ham", "spam"))
    # As an encoder that can be trained begins, which one made to give different answers does not.
    config = NystromformerConfig.from_pretrained(folder, initializer_range=0.1)
    torch.manual_seed(0)
    NystromformerForSequenceClassification(config).save_pretrained(folder)
    return folder


def write_documents(path: Path, count: int, seed: int) -> Path:
    """Of 3 to 300 letters, each from its label's third of the alphabet; the first labels are the more frequent ones."""
    draw = random.Random(seed)
    with path.open("w", encoding="utf-8") as file:
        for number in range(count):
            label = (0, 0, 0, 1, 1, 2)[number % 6]
            letters = LETTERS[8 * label : 8 * label + 9]
            text = " ".join(draw.choices(letters, k=draw.choice([3, 20, 60, 300])))
            file.write(json.dumps({"text": text, "label": ["law", "poem", "letter"][label]}) + "\n")
    return path


@pytest.fixture(scope="session")
def documents(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Files of 60 training and 24 validation documents."""
    folder = tmp_path_factory.mktemp("documents")
    return write_documents(folder / "train.jsonl", 60, seed=1), write_documents(folder / "valid.jsonl", 24, seed=2)


@pytest.fixture
def options(encoder: Path, documents: tuple[Path, Path], tmp_path: Path) -> Callable[..., FinetuneOptions]:
    """Options of a run of seconds, with changes."""
    settings: dict[str, Any] = {
        "model": str(encoder),
        "train": (str(documents[0]),),
        "valid": (str(documents[1]),),
        "output": str(tmp_path / "run"),
        "tokens_per_batch": 1024,
        "learning_rate": 1e-3,
        "epochs": 2,
        "log_every": 1,
    }
    return lambda **changes: FinetuneOptions(**settings | changes)


@pytest.fixture
def killed(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Makes the training of one step raise what a user's Ctrl-C raises."""

    def arrange(at_step: int) -> None:
        step = TokenBudgetTrainer.training_step

        def training_step(self: TokenBudgetTrainer, *args: Any, **kwargs: Any) -> torch.Tensor:
            if self.state.global_step == at_step:
                monkeypatch.undo()
                raise KeyboardInterrupt
            return step(self, *args, **kwargs)

        monkeypatch.setattr(TokenBudgetTrainer, "training_step", training_step)

    return arrange
