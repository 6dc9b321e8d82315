"""A whole run: what it learns, what it leaves behind, and that an interruption changes none of it."""

import itertools
import json
import math
import re
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console
from safetensors.torch import load_file
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tiny import letter_tokenizer, load_classifier
from transformers import BertConfig, BertModel

from nysformer.checkpoints.load import load_tokenizer
from nysformer.errors import NysformerError
from nysformer.ops import can_pack, product_backend, use_product_backend
from nysformer.training.finetune import finetune
from nysformer.training.options import FinetuneOptions
from nysformer.training.trainer import Evaluation, TokenBudgetTrainer

Options = Callable[..., FinetuneOptions]


def history(run: Path) -> list[dict[str, Any]]:
    """The training curve without the time it took."""
    entries = [json.loads(line) for line in (run / "history.jsonl").read_text(encoding="utf-8").splitlines()]
    return [{name: value for name, value in entry.items() if name != "seconds"} for entry in entries]


def logits_of(run: Path, texts: list[str]) -> torch.Tensor:
    model, tokenizer = load_classifier(run), load_tokenizer(run)
    with torch.no_grad():
        batch = tokenizer(texts, truncation=True, max_length=256, padding=True, return_tensors="pt")
        return model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits


def test_it_learns_and_leaves_a_model_folder(options: Options, documents: tuple[Path, Path]) -> None:
    result = finetune(options(epochs=8, learning_rate=3e-3))
    run = result.output
    assert result.metrics["macro_f1"] > 0.9
    texts = {
        path.stem: [json.loads(line)["text"] for line in path.read_text(encoding="utf-8").splitlines()]
        for path in documents
    }
    too_long = {part: sum(len(text.split()) + 2 > 256 for text in of_part) for part, of_part in texts.items()}
    assert result.truncated == too_long != {"train": 0, "valid": 0}
    assert (result.stopped_by, result.steps) == ("steps", history(run)[-1]["step"])

    rows = [json.loads(line) for line in documents[1].read_text(encoding="utf-8").splitlines()]
    logits = logits_of(run, [row["text"] for row in rows])
    labels = list(load_classifier(run).config.id2label.values())
    assert labels == ["law", "letter", "poem"]
    right = [labels[int(index)] == row["label"] for index, row in zip(logits.argmax(-1), rows, strict=True)]
    assert sum(right) / len(right) == result.metrics["accuracy"], "the folder's model is the one that was measured"

    assert json.loads((run / "metrics.json").read_bytes()) == result.metrics
    record = json.loads((run / "run.json").read_bytes())
    assert record["outcome"]["best_step"] == result.best_step
    assert record["data"]["train"]["labels"] == {"law": 30, "letter": 10, "poem": 20}
    assert record["data"]["train"]["documents"] == 60
    assert record["versions"].keys() >= {"nysformer", "torch", "transformers", "python"}
    events = EventAccumulator(str(run / "logs"))
    events.Reload()
    assert {"train/loss", "eval/macro_f1"} <= set(events.Tags()["scalars"])
    assert len(list((run / "checkpoints").iterdir())) <= 2, "the best and the last"
    assert not [path for path in run.rglob("*") if "part" in path.name]


def test_each_epoch_takes_every_document_in_another_order(options: Options) -> None:
    result = finetune(options(epochs=3))
    seen = [0, *(entry["tokens"] for entry in history(result.output) if "loss" in entry)]
    steps = [after - before for before, after in itertools.pairwise(seen)]
    size = len(steps) // 3
    epochs = [steps[start : start + size] for start in range(0, 3 * size, size)]
    of_all = json.loads((result.output / "run.json").read_bytes())["data"]["train"]["tokens"]
    assert [sum(epoch) for epoch in epochs] == [of_all] * 3
    assert epochs[0] != epochs[1] != epochs[2] != epochs[0]


def test_the_best_checkpoint_is_the_model_not_the_last(options: Options) -> None:
    result = finetune(options(best_metric="loss", learning_rate=0.05, epochs=4, eval_steps=1))
    losses = {entry["step"]: entry["eval_loss"] for entry in history(result.output) if "eval_loss" in entry}
    assert result.best_step == min(losses, key=lambda step: losses[step]) != result.steps
    assert result.metrics["loss"] == losses[result.best_step]
    best = load_file(result.output / "checkpoints" / f"checkpoint-{result.best_step}" / "model.safetensors")
    published = load_file(result.output / "model.safetensors")
    assert all(torch.equal(best[name], published[name]) for name in best)


@pytest.mark.parametrize(
    ("at_step", "log_every"), [(5, 1), (10, 4)], ids=["first epoch, each step", "second epoch, a mean over steps"]
)
def test_a_killed_run_resumes_with_the_same_losses(
    options: Options, tmp_path: Path, killed: Callable[[int], None], at_step: int, log_every: int
) -> None:
    settings = {"eval_steps": 3, "log_every": log_every, "class_weights": "balanced"}
    whole = finetune(options(output=str(tmp_path / "whole"), **settings))
    killed(at_step)
    with pytest.raises(KeyboardInterrupt):
        finetune(options(**settings))
    run = tmp_path / "run"
    assert history(run)[-1]["step"] < at_step, "what follows the checkpoint is lost"
    assert not (run / "model.safetensors").exists()

    resumed = finetune(options(resume=True, **settings))
    assert history(run) == history(whole.output)
    assert (resumed.metrics, resumed.best_step, resumed.tokens) == (whole.metrics, whole.best_step, whole.tokens)
    weights = load_file(run / "model.safetensors")
    expected = load_file(whole.output / "model.safetensors")
    assert all(torch.equal(weights[name], expected[name]) for name in expected)


@pytest.mark.skipif(not can_pack(torch.float32), reason="this PyTorch has no oneDNN products")
@pytest.mark.parametrize("recorded", [True, False], ids=["recorded", "from before it was recorded"])
def test_a_resumed_run_keeps_its_float32_product(
    options: Options, tmp_path: Path, killed: Callable[[int], None], monkeypatch: pytest.MonkeyPatch, recorded: bool
) -> None:
    first, other = ("torch", "onednn") if recorded else ("onednn", "torch")
    killed(5)
    with pytest.raises(KeyboardInterrupt), use_product_backend(first):
        finetune(options(eval_steps=3))
    path = tmp_path / "run" / "run.json"
    record = json.loads(path.read_bytes())
    assert record["versions"]["float32_product"] == first
    if not recorded:
        del record["versions"]["float32_product"]
        path.write_text(json.dumps(record), encoding="utf-8")

    used = set()
    step = TokenBudgetTrainer.training_step

    def training_step(self: TokenBudgetTrainer, *args: Any, **kwargs: Any) -> torch.Tensor:
        used.add(product_backend())
        return step(self, *args, **kwargs)

    monkeypatch.setattr(TokenBudgetTrainer, "training_step", training_step)
    with use_product_backend(other):
        finetune(options(eval_steps=3, resume=True))
        assert product_backend() == other, "the process has its own choice again"
    assert used == {first}
    assert json.loads(path.read_bytes())["versions"]["float32_product"] == first


def test_a_run_killed_at_the_end_of_an_epoch_resumes_with_the_same_losses(
    options: Options, tmp_path: Path, killed: Callable[[int], None]
) -> None:
    whole = finetune(options(output=str(tmp_path / "whole")))
    killed(whole.steps // 2)
    with pytest.raises(KeyboardInterrupt):
        finetune(options())
    finetune(options(resume=True))
    assert history(tmp_path / "run") == history(whole.output)


def test_a_run_killed_before_its_first_checkpoint_begins_anew(
    options: Options, tmp_path: Path, killed: Callable[[int], None]
) -> None:
    whole = finetune(options(output=str(tmp_path / "whole")))
    killed(2)
    with pytest.raises(KeyboardInterrupt):
        finetune(options())
    finetune(options(resume=True))
    assert history(tmp_path / "run") == history(whole.output)


def test_a_complete_run_can_be_finished_again_and_prolonged(options: Options) -> None:
    first = finetune(options(epochs=1))
    (first.output / "model.safetensors").unlink()
    (first.output / "metrics.json").unlink()
    again = finetune(options(epochs=1, resume=True))
    assert again == first
    assert (first.output / "model.safetensors").exists()
    longer = finetune(options(epochs=2, resume=True))
    assert longer.steps == 2 * first.steps
    assert longer.seconds > first.seconds


def test_the_time_limit_ends_the_run_well(options: Options) -> None:
    result = finetune(options(epochs=100_000, time_limit=1 / 60))
    assert result.stopped_by == "time"
    assert result.seconds >= 1
    entries = history(result.output)
    assert entries[-1]["step"] == result.steps, "the last step is evaluated"
    assert "eval_loss" in entries[-1]
    rates = [entry["learning_rate"] for entry in entries if "learning_rate" in entry]
    assert rates[-1] < 0.5 * max(rates), "it decays with the time, long before the steps are done"
    logits_of(result.output, ["a b c"])

    assert finetune(options(epochs=100_000, time_limit=1 / 60, resume=True)).steps == result.steps
    longer = finetune(options(epochs=100_000, time_limit=1.5 / 60, resume=True))
    assert longer.steps > result.steps
    assert longer.seconds >= 1.5


@pytest.mark.parametrize(
    "changes",
    [{"bf16": True}, {"valid": (), "valid_share": 0.25}, {"max_grad_norm": 0.0}, {"max_length": 20}, {"epochs": 0.5}],
    ids=str,
)
def test_settings_run(options: Options, changes: dict[str, Any]) -> None:
    result = finetune(options(**{"epochs": 1} | changes))
    losses = [entry["loss"] for entry in history(result.output) if "loss" in entry]
    assert len(losses) == result.steps
    assert all(0 < loss < 20 for loss in losses)


def test_without_clipping_the_gradients_stay_as_they_are(options: Options, tmp_path: Path) -> None:
    clipped = finetune(options(epochs=1, max_grad_norm=1e-3))
    free = finetune(options(epochs=1, max_grad_norm=0.0, output=str(tmp_path / "free")))
    assert history(clipped.output)[0]["loss"] == history(free.output)[0]["loss"]
    a, b = load_file(clipped.output / "model.safetensors"), load_file(free.output / "model.safetensors")
    assert any(not torch.equal(a[name], b[name]) for name in a)


def test_an_earlier_run_is_overwritten_only_once_all_is_well(options: Options, tmp_path: Path) -> None:
    first = finetune(options(epochs=1))
    bad = tmp_path / "bad.jsonl"
    bad.write_text("{", encoding="utf-8")
    with pytest.raises(NysformerError, match=r"bad\.jsonl:1"):
        finetune(options(train=(str(bad),), overwrite=True))
    assert (first.output / "model.safetensors").exists()
    second = finetune(options(epochs=1, seed=1, overwrite=True))
    assert history(second.output)[0]["step"] == 1
    assert json.loads((second.output / "run.json").read_bytes())["options"]["seed"] == 1


def test_progress_is_one_bar_with_speed(options: Options, capfd: pytest.CaptureFixture[str]) -> None:
    with open(Path(options().output).with_suffix(".log"), "w+", encoding="utf-8") as log:
        finetune(options(epochs=1), console=Console(file=log, width=120))
        log.seek(0)
        lines = log.read().splitlines()
    assert re.fullmatch(r"training: 60 documents, [\d,]+ tokens, 17 documents cut to 256 tokens", lines[0])
    assert re.fullmatch(r"validation: 24 documents, [\d,]+ tokens, 6 documents cut to 256 tokens", lines[1])
    assert [line.split() for line in lines[2:6]] == [
        ["label", "training", "validation"],
        ["law", "30", "12"],
        ["letter", "10", "4"],
        ["poem", "20", "8"],
    ]
    assert lines[6] == "new head: the model's labels are ham, spam; the documents have law, letter, poem"
    assert "macro-F1" in lines[7]
    assert lines[-1].startswith("trained ")
    assert "tokens/s" in lines[-1]
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("precision", ["float32", "bfloat16", "int8"])
def test_evaluation_of_a_fast_copy(options: Options, precision: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The copy is what is evaluated, in its precision, and the training goes on as if it were not there."""
    evaluated: list[bool] = []
    dtypes: list[torch.dtype] = []
    usual = Evaluation.__call__

    def call(self: Evaluation, model: Any, *context: Any) -> Any:
        assert context == (nullcontext,)
        assert model.is_optimized
        model.register_forward_hook(lambda *_: evaluated.append(torch.is_autocast_enabled("cpu")))
        dtypes.append(model.dtype)
        return usual(self, model)

    monkeypatch.setattr(Evaluation, "__call__", call)
    fast = finetune(options(max_steps=4, eval_steps=2, bf16=True, eval_dtype=precision))
    assert set(evaluated) == {False}
    assert precision != "float32" or set(dtypes) == {torch.float32}
    assert math.isfinite(fast.metrics["loss"])
    losses = [entry["loss"] for entry in history(fast.output) if "loss" in entry]
    monkeypatch.undo()
    plain = finetune(options(max_steps=4, eval_steps=2, bf16=True, output=str(fast.output.parent / "plain")))
    assert losses == [entry["loss"] for entry in history(plain.output) if "loss" in entry]
    assert fast.metrics["loss"] == pytest.approx(plain.metrics["loss"], rel=0.1)


def test_gradient_checkpointing_changes_no_loss(options: Options) -> None:
    less = finetune(options(max_steps=3, gradient_checkpointing=True))
    plain = finetune(options(max_steps=3, output=str(less.output.parent / "plain")))
    ours, theirs = ([e["loss"] for e in history(run.output) if "loss" in e] for run in (less, plain))
    assert ours == pytest.approx(theirs, rel=1e-5)


def test_a_loss_that_is_not_finite_ends_the_run(options: Options) -> None:
    with pytest.raises(NysformerError, match=r"training loss is (nan|inf) at step \d+; begin a new run with a lower"):
        finetune(options(learning_rate=1e30, max_grad_norm=0.0))


def test_an_unknown_metric_is_refused_before_anything_is_written(options: Options) -> None:
    with pytest.raises(NysformerError, match=r"best_metric: sequence-classification has no 'f1'; choose macro_f1, acc"):
        finetune(options(best_metric="f1"))
    assert not Path(options().output).exists()


def test_other_documents_are_not_resumed_with(options: Options, documents: tuple[Path, Path]) -> None:
    finetune(options(epochs=1))
    with pytest.raises(NysformerError, match="the documents are not those the run began with"):
        finetune(options(epochs=2, resume=True, train=(str(documents[1]),)))


def test_models_that_cannot_be_used(options: Options, encoder: Path, tmp_path: Path) -> None:
    bert = tmp_path / "bert"
    BertModel(
        BertConfig(vocab_size=56, hidden_size=8, num_hidden_layers=1, num_attention_heads=1, intermediate_size=8)
    ).save_pretrained(bert)
    letter_tokenizer().save_pretrained(bert)
    with pytest.raises(NysformerError, match=r"nysformer\.from_bert"):
        finetune(options(model=str(bert)))
    bare = tmp_path / "bare"
    bare.mkdir()
    for name in ("config.json", "model.safetensors"):
        (bare / name).symlink_to(encoder / name)
    with pytest.raises(NysformerError, match="no tokenizer in the folder"):
        finetune(options(model=str(bare)))
    other = letter_tokenizer()
    other.add_tokens([f"token{number}" for number in range(40)])
    other.save_pretrained(bare)
    with pytest.raises(NysformerError, match="the tokenizer has 96 tokens and the model only 56"):
        finetune(options(model=str(bare)))
    with pytest.raises(NysformerError, match="both the model to begin with and the output"):
        finetune(options(output=str(encoder), overwrite=True))
    with pytest.raises(NysformerError, match="300 tokens are more than the 256 positions"):
        finetune(options(max_length=300))
    assert not Path(options().output).exists(), "nothing is written before all is well"
