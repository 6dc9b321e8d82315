"""A corpus of a few letters, and an encoder of a few numbers, so that a whole demo takes seconds."""

import json
import random
from pathlib import Path
from typing import Any

import datasets
import pytest
from tiny import LETTERS, letter_tokenizer, save_classifier

from nysformer.data.licences import LicenceCorpus


@pytest.fixture(autouse=True, scope="session")
def datasets_cache(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path_factory.mktemp("datasets-cache"))
        yield


@pytest.fixture
def corpus(tmp_path: Path) -> LicenceCorpus:
    """Three labels, each with its own third of the alphabet."""
    directory = tmp_path / "demo" / "corpus"
    directory.mkdir(parents=True)
    draw = random.Random(0)
    documents = {"train": 48, "valid": 12, "test": 24}
    for split, count in documents.items():
        with (directory / f"{split}.jsonl").open("w", encoding="utf-8") as file:
            for number in range(count):
                label = number % 3
                words = ["".join(draw.choices(LETTERS[8 * label : 8 * label + 9], k=3)) for _ in range(10 + number)]
                row = {
                    "id": f"{split}-{number}",
                    "label": ["by", "gpl", "mit"][label],
                    "group": number,
                    "text": " ".join(words),
                }
                file.write(json.dumps(row) + "\n")
    return LicenceCorpus(directory=directory, documents=documents, groups=84, seed=0, package="letters 1.0")


@pytest.fixture
def encoder(tmp_path: Path) -> Path:
    """The model folder of an encoder whose tokenizer knows how far it reads."""
    folder = save_classifier(tmp_path / "encoder")
    tokenizer = letter_tokenizer()
    tokenizer.model_max_length = 256
    tokenizer.save_pretrained(folder)
    return folder
