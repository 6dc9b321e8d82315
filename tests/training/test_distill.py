"""Distillation: from a BERT or a Nyströmformer to a model folder whose short documents are the source's."""

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny import LETTERS, letter_tokenizer
from transformers import BertConfig, BertModel

from nysformer import NystromformerConfig, NystromformerModel
from nysformer.checkpoints.load import load_model
from nysformer.errors import Interrupted, NysformerError
from nysformer.training.distill import distill
from nysformer.training.distill_options import DistillOptions
from nysformer.training.finetune import finetune

Options = Callable[..., DistillOptions]


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BERT that reads 40 tokens."""
    folder = tmp_path_factory.mktemp("source") / "bert"
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=60,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=64,
        max_position_embeddings=40,
        initializer_range=0.3,
    )
    BertModel(config, add_pooling_layer=False).save_pretrained(folder)
    letter_tokenizer().save_pretrained(folder)
    return folder


@pytest.fixture
def options(bert: Path, tmp_path: Path) -> Options:
    """Options of a run of seconds, with changes."""
    draw = random.Random(0)
    rows = []
    for _ in range(40):
        start = draw.randrange(20)
        rows.append({"text": " ".join(draw.choices(LETTERS[start : start + 6], k=draw.choice([20, 60, 90, 110])))})
    settings: dict[str, Any] = {
        "model": str(bert),
        "train": rows,
        "valid_share": 0.3,
        "output": str(tmp_path / "run"),
        "max_length": 96,
        "num_landmarks": 8,
        "tokens_per_batch": 256,
        "learning_rate": 1e-3,
        "max_steps": 4,
        "eval_steps": 2,
        "log_every": 1,
    }
    return lambda **changes: DistillOptions(**settings | changes)


def test_it_comes_nearer_and_short_documents_keep_their_numbers(options: Options, bert: Path, tmp_path: Path) -> None:
    result = distill(options(max_steps=60, eval_steps=30))
    assert set(result.titles) == {"relative_error", "centred_cosine", "cosine"}
    losses = [json.loads(line).get("loss") for line in (result.output / "history.jsonl").read_text().splitlines()]
    losses = [loss for loss in losses if loss is not None]
    assert sum(losses[-5:]) < 0.8 * sum(losses[:5])
    data = json.loads((result.output / "run.json").read_bytes())["data"]
    assert data["train"]["documents"] + data["valid"]["documents"] < 40, "those that BERT reads are left out"

    source = BertModel.from_pretrained(bert, add_pooling_layer=False).eval()
    model = load_model(result.output, NystromformerModel)
    assert model.config.long_layers
    assert model.config.max_position_embeddings == 4096
    assert model.config.hidden_dropout_prob == source.config.hidden_dropout_prob, "only this run dropped nothing"
    ids = torch.randint(4, 56, (1, 40))
    with torch.no_grad():
        torch.testing.assert_close(model(ids)[0], source(ids)[0], rtol=1e-4, atol=1e-5)
    card = (result.output / "README.md").read_text(encoding="utf-8")
    assert "pipeline_tag: feature-extraction" in card
    assert "Documents of more than 40 tokens have layers of their own." in card

    rows = [{"text": "a b " * 30, "label": "x"}, {"text": "y z", "label": "y"}] * 3
    tuned = finetune(model=str(result.output), train=rows, valid=rows, output=str(tmp_path / "tuned"), max_steps=1)
    assert NystromformerConfig.from_pretrained(tuned.output).long_layers


def test_a_killed_run_resumes_with_the_same_losses(
    options: Options, tmp_path: Path, killed: Callable[[int], None]
) -> None:
    def curve(folder: Path) -> list[dict[str, Any]]:
        entries = [json.loads(line) for line in (folder / "history.jsonl").read_text().splitlines()]
        return [{name: value for name, value in entry.items() if name != "seconds"} for entry in entries]

    whole = distill(options(output=str(tmp_path / "whole")))
    killed(3)
    with pytest.raises(Interrupted):
        distill(options())
    resumed = distill(options(resume=True))
    assert curve(resumed.output) == curve(whole.output)
    assert resumed.metrics == whole.metrics


def test_a_run_goes_on_from_its_own_result(options: Options, tmp_path: Path) -> None:
    first = distill(options())
    second = distill(options(model=str(first.output), num_landmarks=None, output=str(tmp_path / "second")))
    assert load_model(second.output, NystromformerModel).config.num_landmarks == 8


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"max_length": 40, "train": [{"text": "a b c"}] * 4}, "train: 0 of .* documents have more than 40 tokens"),
        ({"reading": "windows"}, "reading: 'windows' leaves no long documents"),
    ],
)
def test_refused(options: Options, changes: dict[str, Any], line: str) -> None:
    with pytest.raises(NysformerError, match=line):
        distill(options(**changes))
