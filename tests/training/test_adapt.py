"""Continued masked language modelling before a fine-tuning: what it trains on, what it leaves, and its resumption."""

import errno
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console
from safetensors.torch import load_file
from tiny import letter_tokenizer, save_classifier
from transformers import TrainerState

from nysformer.errors import Interrupted, NysformerError
from nysformer.models import NystromformerForMaskedLM
from nysformer.tasks.masked_lm import MaskedLM
from nysformer.training.finetune import finetune
from nysformer.training.options import FinetuneOptions
from nysformer.training.trainer import TokenBudgetTrainer

Options = Callable[..., FinetuneOptions]

WORDS = "nystromformer.embeddings.word_embeddings.weight"


@pytest.fixture(scope="session")
def masking_encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A classifier of the documents' labels, whose tokenizer has a mask token in place of a letter inside words."""
    folder = save_classifier(tmp_path_factory.mktemp("masking"), ("law", "letter", "poem"), initializer_range=0.1)
    tokenizer = letter_tokenizer()
    tokenizer.add_special_tokens({"mask_token": "##z"})
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture
def adapting(options: Options, masking_encoder: Path) -> Options:
    settings: dict[str, Any] = {
        "model": str(masking_encoder),
        "adapt_steps": 5,
        "adapt_learning_rate": 1e-2,
        "max_steps": 7,
        "eval_steps": 2,
        "epochs": None,
    }
    return lambda **changes: options(**settings | changes)


def history(run: Path) -> list[dict[str, Any]]:
    entries = [json.loads(line) for line in (run / "history.jsonl").read_text(encoding="utf-8").splitlines()]
    return [{name: value for name, value in entry.items() if name != "seconds"} for entry in entries]


def record(run: Path) -> dict[str, Any]:
    told = json.loads((run / "run.json").read_bytes())
    assert isinstance(told, dict)
    return told


def encoder_of(folder: Path) -> dict[str, torch.Tensor]:
    weights = load_file(folder / "model.safetensors")
    return {name: weight for name, weight in weights.items() if name.startswith("nystromformer.")}


def test_fine_tuning_begins_with_the_encoder_of_the_last_step(
    adapting: Options, masking_encoder: Path, tmp_path: Path
) -> None:
    console = Console(file=io.StringIO(), width=200)
    run = finetune(adapting(max_steps=1, learning_rate=1e-12), console=console).output
    after, adapted, before = (load_file(each / "model.safetensors") for each in (run, run / "adapted", masking_encoder))
    for name in encoder_of(run):
        torch.testing.assert_close(after[name], adapted[name], rtol=0, atol=1e-9)
    assert not torch.allclose(adapted[WORDS], before[WORDS], atol=1e-3)
    heads = [name for name in before if name.startswith("classifier.")]
    assert heads
    for name in heads:
        torch.testing.assert_close(after[name], before[name], rtol=0, atol=1e-9, msg="the head is the checkpoint's")

    told = record(run)
    assert (told["adapted"]["steps"], told["adapted"]["stopped_by"]) == (5, "steps")
    assert told["adapted"]["metrics"] == json.loads((run / "adapted" / "metrics.json").read_bytes())
    assert told["outcome"]["seconds"] > told["adapted"]["seconds"] > 0
    assert record(run / "adapted")["outcome"]["best_step"] == 5
    assert not (run / "adapted" / "checkpoints").exists()
    NystromformerForMaskedLM.from_pretrained(run / "adapted")
    assert "to predict masked words of the training documents: 5 steps" in (run / "README.md").read_text("utf-8")
    assert "The last step of one run" in (run / "adapted" / "README.md").read_text("utf-8")
    lines = console.file.getvalue()  # type: ignore[attr-defined]
    assert "masked accuracy" in lines
    assert "adapted in 5 steps" in lines


def test_it_learns_the_words(adapting: Options) -> None:
    run = finetune(adapting(adapt_steps=60, eval_steps=20, max_steps=1)).output
    losses = [entry["loss"] for entry in history(run / "adapted") if "loss" in entry]
    assert sum(losses[-5:]) < 0.9 * sum(losses[:5])


def test_the_last_step_is_kept_though_another_was_better(adapting: Options) -> None:
    run = finetune(adapting(adapt_learning_rate=3.0, max_steps=1)).output
    losses = {entry["step"]: entry["eval_loss"] for entry in history(run / "adapted") if "eval_loss" in entry}
    assert min(losses, key=lambda step: losses[step]) < 5
    assert record(run)["adapted"]["metrics"]["loss"] == losses[5]


def test_it_reads_each_training_text_once_and_none_of_the_validation(
    adapting: Options, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: set[int] = set()
    mask = MaskedLM.mask

    def noted(self: MaskedLM, ids: Any, words: Any, rng: Any) -> Any:
        if rng.bit_generator.seed_seq.entropy[0] == 7:
            read.update(ids.ravel().tolist())
        return mask(self, ids, words, rng)

    monkeypatch.setattr(MaskedLM, "mask", noted)
    contexts = ["a b c d e f", "g h i j k l"]
    rows = [
        {"context": contexts[n % 2], "question": "x y", "answers": {"text": [], "answer_start": []}} for n in range(8)
    ]
    valid = [{"context": "m n o p q", "question": "x", "answers": {"text": ["m"], "answer_start": [0]}}]
    changes = {"task": "question-answering", "train": rows, "valid": valid, "seed": 7, "max_steps": 1}
    data = record(finetune(adapting(**changes)).output / "adapted")["data"]
    assert (data["train"]["documents"], data["valid"]["documents"]) == (2, 1)
    assert read == {2, 3, *range(4, 16)}


@pytest.mark.parametrize(
    ("task", "row"),
    [
        ("token-classification", {"tokens": ["a", "b", "c"], "tags": ["O", "B-V", "O"]}),
        ("multiple-choice", {"context": "a b c d", "choices": ["e", "f g"], "label": 1}),
        ("sequence-classification", {"text": "a b c d", "label": 1.5}),
    ],
)
def test_every_task_has_text_to_adapt_to(adapting: Options, task: str, row: dict[str, Any]) -> None:
    rows = [row, {**row, "label": 0.5 if task == "sequence-classification" else row.get("label")}]
    run = finetune(adapting(task=task, train=rows, valid=rows, max_steps=1, adapt_steps=1)).output
    assert record(run)["adapted"]["steps"] == 1
    assert record(run / "adapted")["data"]["train"]["documents"] == 1


def test_it_combines_with_what_else_shapes_a_run(adapting: Options, masking_encoder: Path) -> None:
    changes = {"probe_first": True, "freeze_embeddings": True, "final_whole": 0.5, "pooling": "mean"}
    reading = {"reading": "windows", "max_length": 40, "time_limit": 10.0, "bf16": True, "class_weights": "sqrt"}
    run = finetune(adapting(**changes, **reading)).output
    assert record(run / "adapted")["data"]["max_length"] == 40
    assert history(run)[0]["step"] == 0
    before, after = load_file(masking_encoder / "model.safetensors"), load_file(run / "model.safetensors")
    tables = [name for name in after if name.endswith("embeddings.weight")]
    assert len(tables) == 3
    assert all(torch.equal(before[name], after[name]) for name in tables), "they are frozen in both"


@pytest.mark.parametrize(
    ("masked", "at_step", "stands", "probe_first"),
    [
        (True, 1, "no checkpoint was whole yet: start over", False),
        (True, 3, "the checkpoint of the adaptation's step 2 is whole: go on", True),
        (False, 1, "the adaptation is whole: go on", False),
        (False, 5, "the checkpoint of step 4 is whole: go on", True),
    ],
    ids=["before the first checkpoint", "adapting", "before fine-tuning's first checkpoint", "fine-tuning"],
)
def test_a_killed_run_resumes_with_the_same_losses(
    adapting: Options,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    masked: bool,
    at_step: int,
    stands: str,
    probe_first: bool,
) -> None:
    whole = finetune(adapting(output=str(tmp_path / "whole"), probe_first=probe_first))
    step = TokenBudgetTrainer.training_step
    steps: list[bool] = []

    def training_step(self: TokenBudgetTrainer, *args: Any, **kwargs: Any) -> torch.Tensor:
        steps.append(isinstance(self.task, MaskedLM))
        if steps[-1] == masked and self.state.global_step == at_step:
            raise KeyboardInterrupt
        return step(self, *args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(TokenBudgetTrainer, "training_step", training_step)
        with pytest.raises(Interrupted, match=stands):
            finetune(adapting(probe_first=probe_first))
    run = tmp_path / "run"
    assert (run / "adapted" / "checkpoints").exists() == masked
    steps.clear()
    masked, at_step = not masked, -1
    with monkeypatch.context() as patch:
        patch.setattr(TokenBudgetTrainer, "training_step", training_step)
        resumed = finetune(adapting(resume=True, probe_first=probe_first))
    assert any(steps) == (not masked), "what is adapted already is not adapted again"
    assert history(run) == history(whole.output)
    assert history(run / "adapted") == history(whole.output / "adapted")
    assert (resumed.metrics, resumed.best_step, resumed.tokens) == (whole.metrics, whole.best_step, whole.tokens)
    weights, expected = (load_file(folder / "model.safetensors") for folder in (run, whole.output))
    assert all(torch.equal(weights[name], expected[name]) for name in expected)
    assert {**record(run)["adapted"], "seconds": 0} == {**record(whole.output)["adapted"], "seconds": 0}
    assert resumed.seconds > record(run)["adapted"]["seconds"]


def test_the_time_limit_covers_both(adapting: Options) -> None:
    result = finetune(adapting(adapt_steps=100_000, max_steps=100_000, time_limit=2 / 60))
    told = record(result.output)["adapted"]
    assert told["stopped_by"] == result.stopped_by == "time"
    assert 1 <= told["seconds"] < result.seconds
    assert result.seconds >= 2
    first = json.loads((result.output / "history.jsonl").read_text(encoding="utf-8").splitlines()[0])
    assert first["seconds"] > told["seconds"], "one clock"


def test_another_run_in_the_folder_leaves_nothing_of_it(adapting: Options) -> None:
    run = finetune(adapting(max_steps=1)).output
    with pytest.raises(NysformerError, match="both the model to begin with and the output"):
        finetune(adapting(model=str(run / "adapted"), overwrite=True))
    finetune(adapting(max_steps=1, adapt_steps=0, overwrite=True))
    assert not (run / "adapted").exists()
    assert "adapted" not in record(run)


@pytest.mark.parametrize("changes", [{"adapt_steps": 6}, {"adapt_learning_rate": 1e-3}], ids=str)
def test_a_resumed_run_keeps_what_shapes_its_losses(adapting: Options, changes: dict[str, Any]) -> None:
    before = json.loads(json.dumps(adapting().as_json()))
    with pytest.raises(NysformerError, match="but the run began with"):
        adapting(resume=True, **changes).check_resumable(before)


def test_a_tokenizer_without_a_mask_token_is_refused_before_anything_is_written(
    options: Options, encoder: Path, tmp_path: Path
) -> None:
    with pytest.raises(NysformerError, match=r"adapt_steps: the tokenizer of .* has no mask token.*; leave it out, or"):
        finetune(options(adapt_steps=1))
    assert not (tmp_path / "run").exists()


def test_a_loss_that_is_not_finite_names_the_steps_it_is_of(adapting: Options) -> None:
    with pytest.raises(NysformerError, match=r"^adapt_steps: the training loss is (nan|inf) at step \d+; begin a new"):
        finetune(adapting(adapt_learning_rate=1e30, max_grad_norm=0.0))


def test_a_full_disk_says_what_stands(adapting: Options, monkeypatch: pytest.MonkeyPatch) -> None:
    write = TrainerState.save_to_json

    def full(self: TrainerState, *args: Any) -> None:
        if self.global_step == 4:
            raise OSError(errno.ENOSPC, "No space left on device")
        write(self, *args)

    monkeypatch.setattr(TrainerState, "save_to_json", full)
    stands = "the checkpoint of the adaptation's step 2 is whole: once this is fixed, go on from it with resume=True"
    with pytest.raises(NysformerError, match=rf"cannot be written \(no space left on device\); {stands}$"):
        finetune(adapting())


def test_what_run_json_does_not_tell_is_one_line(adapting: Options) -> None:
    run = finetune(adapting(max_steps=1)).output
    told = record(run)
    del told["adapted"]
    (run / "run.json").write_text(json.dumps(told), encoding="utf-8")
    with pytest.raises(NysformerError, match=r"run\.json: it does not tell of the adaptation"):
        finetune(adapting(max_steps=2, resume=True))
