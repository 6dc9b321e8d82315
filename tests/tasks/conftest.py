import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny import letter_tokenizer

from nysformer import NystromformerConfig
from nysformer.data.framing import Encoder
from nysformer.data.reader import ReadOptions, read_records
from nysformer.data.records import Item, Record
from nysformer.tasks.base import Task
from nysformer.tasks.reading import Reading

Read = Callable[..., Item]
Run = Callable[..., tuple[list[Any], dict[str, Any]]]


@pytest.fixture(scope="session")
def encoder() -> Encoder:
    return Encoder(letter_tokenizer(), max_length=64)


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """Reads one row, written to a.jsonl, as a record of a task."""

    def read(task: type[Task[Any, Any]], row: dict[str, object], labelled: bool = True, **options: Any) -> Item:
        path = tmp_path / "a.jsonl"
        path.write_text("\n" * 6 + json.dumps(row), encoding="utf-8")
        (item,) = read_records(path, ReadOptions(**options), task.layouts, labelled=labelled)
        return item

    return read


def encode(task: Task[Any, Any], record: Record, encoder: Encoder, reading: Reading, labelled: bool = True) -> Any:
    """A record's encoding, as the workflows make it."""
    return task.encode(record, encoder.tokens(task.texts(record)), encoder, reading, labelled=labelled)


@pytest.fixture(name="encode")
def encode_fixture(encoder: Encoder) -> Callable[..., Any]:
    """Encodes one record of a task."""
    return lambda task, record, labelled=True: encode(task, record, encoder, Reading(), labelled)


@pytest.fixture
def learn(encoder: Encoder) -> Run:
    """Fits a tiny model of a task to some records; gives its answers and metrics on them."""

    def learn(
        task: Task[Any, Any],
        records: Sequence[Record],
        reading: Reading | None = None,
        steps: int = 60,
        **settings: Any,
    ) -> tuple[list[Any], dict[str, Any]]:
        reading = reading or Reading()
        torch.manual_seed(0)
        config = NystromformerConfig(
            **{
                "vocab_size": 56,
                "hidden_size": 32,
                "num_hidden_layers": 1,
                "num_attention_heads": 4,
                "intermediate_size": 64,
                "max_position_embeddings": 64,
                "num_landmarks": 16,
                "conv_kernel_size": 5,
                "pad_token_id": 0,
                "hidden_dropout_prob": 0.0,
                "attention_probs_dropout_prob": 0.0,
                "initializer_range": 0.1,
                **task.config_fields(),
                **settings,
            }
        )
        model = task.model_class(config)
        optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
        encodings = [encode(task, record, encoder, reading) for record in records]
        examples = [example for encoding in encodings for example in encoding.examples]
        for step in range(steps):
            batch = task.collate(examples, 0, np.random.default_rng((0, step)))
            optimizer.zero_grad()
            model(**batch).loss.backward()
            optimizer.step()
        model.eval()
        answers, measure = [], task.measure()
        for record, encoding in zip(records, encodings, strict=True):
            batch = task.collate(encoding.examples, 0, np.random.default_rng(0))
            with torch.no_grad():
                outputs = task.outputs(model(**batch), batch, encoding.examples)
            answer = task.decode(record, encoding, outputs) if task.name != "masked-lm" else None
            measure.add(record, encoding, outputs, answer)
            answers.append(answer)
        return answers, measure.result()

    return learn
