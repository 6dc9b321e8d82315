"""A run that begins with a linear probe: the head is the fit, step 0 counts, and an interruption changes nothing."""

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from rich.console import Console
from sklearn.linear_model import LogisticRegression
from tiny import load_classifier
from transformers.activations import ACT2FN

from nysformer.checkpoints.load import load_tokenizer
from nysformer.errors import NysformerError
from nysformer.inference.evaluate import evaluate
from nysformer.training.finetune import finetune
from nysformer.training.options import FinetuneOptions
from nysformer.training.probe import _linear_point
from nysformer.training.schedule import Clock, Schedule

Options = Callable[..., FinetuneOptions]


def history(run: Path) -> list[dict[str, Any]]:
    """The training curve without the time it took."""
    entries = [json.loads(line) for line in (run / "history.jsonl").read_text(encoding="utf-8").splitlines()]
    return [{name: value for name, value in entry.items() if name != "seconds"} for entry in entries]


def said_by(options: FinetuneOptions) -> tuple[Any, str]:
    console = Console(file=io.StringIO(), width=200)
    return finetune(options, console=console), console.file.getvalue()


@pytest.mark.parametrize(
    ("activation", "pooling", "layers", "reading"),
    [
        ("gelu_new", "first", "last", "whole"),
        ("relu", "mean", "first+last", "windows"),
        ("tanh", "attention", "last", "whole"),
        ("gelu_new", "attention", "first+last", "whole"),
    ],
)
def test_the_heads_probabilities_are_scikit_learns(
    options: Options,
    documents: tuple[Path, Path],
    tmp_path: Path,
    activation: str,
    pooling: str,
    layers: str,
    reading: str,
) -> None:
    folder = tmp_path / "model"
    model = load_classifier(options().model)
    model.config.hidden_act = activation
    model.save_pretrained(folder)
    load_tokenizer(options().model).save_pretrained(folder)
    run, said = said_by(
        options(
            model=str(folder), probe_first=True, max_steps=0, pooling=pooling, head_layers=layers, reading=reading,
            max_length=100, class_weights="sqrt",
        )
    )  # fmt: skip
    assert "linear probe: C " in said
    assert (run.steps, run.best_step, run.tokens, run.stopped_by) == (0, 0, 0, "steps")
    model, tokenizer = load_classifier(run.output), load_tokenizer(run.output)
    assert (model.config.classifier_pooling, model.config.classifier_layers) == (pooling, layers)
    rows = [json.loads(line) for line in documents[0].read_text(encoding="utf-8").splitlines()]
    labels = np.array([model.config.label2id[row["label"]] for row in rows])
    hidden, logits = [], []
    for row in rows:
        ids = tokenizer(row["text"], add_special_tokens=False)["input_ids"]
        if reading == "whole":
            pieces = [ids[:98]]
        else:
            starts = [*range(0, max(len(ids) - 98, 0), 74), max(len(ids) - 98, 0)]
            pieces = [ids[start : start + 98] for start in starts]
        with torch.no_grad():
            each = [model.features(torch.tensor([[2, *piece, 3]])) for piece in pieces]
            head = model.classifier
            made = [head.activation(head.dense(head.scaling(one))) for one in each]
            hidden.append(torch.stack(made).mean(0)[0].double().numpy())
            logits.append(torch.stack([head(one) for one in each]).mean(0)[0].double())
    strength = float(said.partition("linear probe: C ")[2].partition(",")[0])
    x = np.stack(hidden)
    x = (x - x.mean(0)) / x.var(0).mean() ** 0.5
    weights = (len(labels) / np.bincount(labels))[labels] ** 0.5
    weights *= len(labels) / weights.sum()
    truth = LogisticRegression(C=strength, max_iter=1000).fit(x, labels, sample_weight=weights).predict_proba(x)
    ours = torch.stack(logits).softmax(-1).numpy()
    np.testing.assert_allclose(ours, truth, atol=2e-3)  # scikit-learn's own steps end some 1e-4 from the optimum
    assert run.metrics["macro_f1"] > 0.8, "a random encoder's features tell these documents apart"
    assert evaluate(run.output, [documents[1]])["macro_f1"] == pytest.approx(run.metrics["macro_f1"])


@pytest.mark.parametrize("name", sorted(ACT2FN))
def test_features_pass_the_activation_nearly_as_they_are(name: str) -> None:
    try:
        activation = ACT2FN[name]
        slope, offset = _linear_point(activation)
    except (ImportError, RuntimeError, ValueError, TypeError):
        pytest.skip("not an activation of this machine")
    x = torch.randn(4000, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        y = activation(slope * x + offset).float()
    assert float(torch.corrcoef(torch.stack([x, y]))[0, 1]) > 0.9


@torch.no_grad()
def test_training_begins_where_the_probe_ends(options: Options, documents: tuple[Path, Path], tmp_path: Path) -> None:
    """Features of a mean far beyond their spread, such as every encoder has some of, under dropout and in bfloat16."""
    folder = tmp_path / "model"
    model = load_classifier(options().model)
    model.config.hidden_dropout_prob = 0.1
    norm = model.nystromformer.encoder.layer[-1].output.LayerNorm
    norm.bias += 3.0
    norm.weight[:4] *= 0.02
    model.save_pretrained(folder)
    load_tokenizer(options().model).save_pretrained(folder)
    settings = {"probe_first": True, "max_steps": 0, "pooling": "mean", "head_layers": "first+last", "max_length": 128}
    run = finetune(options(model=str(folder), **settings))
    model, tokenizer = load_classifier(run.output), load_tokenizer(run.output)
    rows = [json.loads(line) for line in documents[0].read_text(encoding="utf-8").splitlines()]
    batch = tokenizer([row["text"] for row in rows], padding=True, truncation=True, max_length=128, return_tensors="pt")
    batch["labels"] = torch.tensor([model.config.label2id[row["label"]] for row in rows])
    evaluated = model(**batch).loss.item()
    torch.manual_seed(0)
    model.train()
    trained = model(**batch).loss.item()
    with torch.autocast("cpu", torch.bfloat16):
        half = model(**batch).loss.item()
    assert max(trained, half) < 2 * evaluated + 0.1, (evaluated, trained, half)


def test_step_0_is_logged_and_may_be_the_best(options: Options) -> None:
    run, said = said_by(options(probe_first=True, learning_rate=0.3, epochs=1, eval_steps=2))
    first = history(run.output)[0]
    assert (first["step"], first["epoch"], first["tokens"]) == (0, 0.0, 0)
    assert "eval_macro_f1" in first
    assert "step 0 (epoch 0.00): validation macro-F1" in said
    assert run.best_step == 0
    assert run.metrics["macro_f1"] == first["eval_macro_f1"] > 0.8
    assert (run.output / "checkpoints/checkpoint-0/trainer_state.json").is_file()
    assert run.steps == 6, "several checkpoints came after it"
    again = finetune(options(probe_first=True, learning_rate=0.3, epochs=1, eval_steps=2, resume=True))
    assert (again.best_step, again.metrics) == (0, run.metrics)


@pytest.mark.parametrize("at_step", [0, 1, 5])
def test_a_killed_run_resumes_with_the_same_losses(
    options: Options, tmp_path: Path, killed: Callable[[int], None], at_step: int
) -> None:
    settings = {"probe_first": True, "eval_steps": 3, "reading": "windows", "max_length": 64, "max_steps": 8}
    whole = finetune(options(output=str(tmp_path / "whole"), **settings))
    killed(at_step)
    with pytest.raises(KeyboardInterrupt):
        finetune(options(**settings))
    resumed = finetune(options(resume=True, **settings))
    assert history(resumed.output) == history(whole.output)
    assert (resumed.metrics, resumed.best_step) == (whole.metrics, whole.best_step)
    longer = finetune(options(resume=True, **settings | {"max_steps": 9}))
    assert longer.steps == 9


def test_an_epoch_of_some_windows(options: Options, documents: tuple[Path, Path], tmp_path: Path) -> None:
    """The probe and the steps read so many windows of a document; a resumed run draws as one that was not stopped."""
    settings: dict[str, Any] = {"reading": "windows", "max_length": 40, "overlap": 0.0, "probe_first": True}
    every = finetune(options(**settings, epochs=1))
    some = finetune(options(output=str(tmp_path / "some"), **settings, epochs=2, train_windows=1))
    rows = [json.loads(line) for line in documents[0].read_text(encoding="utf-8").splitlines()]
    tokenizer = load_tokenizer(options().model)
    lengths = [len(tokenizer(row["text"], add_special_tokens=False)["input_ids"]) for row in rows]
    assert any(length > 38 for length in lengths)
    assert some.tokens == 2 * sum(min(length, 38) + 2 for length in lengths)
    assert some.tokens < 2 * every.tokens
    assert some.metrics["documents"] == every.metrics["documents"]
    stopped = settings | {"epochs": 2, "train_windows": 1, "output": str(tmp_path / "stopped"), "max_steps": 3}
    finetune(options(**stopped))
    resumed = finetune(options(**stopped | {"max_steps": None, "resume": True}))
    losses = [[entry.get("loss") for entry in history(run.output)][4:] for run in (some, resumed)]
    assert losses[0][-1] == losses[1][-1]
    with pytest.raises(NysformerError, match="train_windows: documents are read whole; leave it out, or give reading"):
        options(train_windows=2)


def write(path: Path, rows: list[dict[str, Any]]) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return str(path)


def test_other_problem_types(options: Options, tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    texts = [" ".join(random.choice(list("abcxyz"), 20)) for _ in range(40)]
    several = [[each for each in "ab" if text.count(each) > 3] for text in texts]
    numbers = [10.0 * text.count("a") + 0.5 for text in texts]
    for name, labels in (("several", several), ("numbers", numbers)):
        rows = [{"text": text, "label": label} for text, label in zip(texts, labels, strict=True)]
        path = write(tmp_path / f"{name}.jsonl", rows)
        run = finetune(
            options(train=(path,), valid=(path,), output=str(tmp_path / name), probe_first=True, max_steps=0,
                    pooling="mean")
        )  # fmt: skip
        if name == "several":
            assert run.metrics["micro_f1"] > 0.75
        else:
            assert run.metrics["rmse"] < 0.7 * float(np.std(numbers))


def test_groups_are_used_where_validation_is_given(options: Options, tmp_path: Path) -> None:
    rows = [{"text": "a b c" if number % 2 else "x y z", "label": "abc"[number % 3], "g": number // 4}
            for number in range(24)]  # fmt: skip
    path = write(tmp_path / "a.jsonl", rows)
    settings = {"train": (path,), "valid": (path,), "group_column": "g"}
    with pytest.raises(NysformerError, match="nothing is held out"):
        options(**settings)
    finetune(options(**settings, probe_first=True, max_steps=0))


def test_what_cannot_be_probed(options: Options, tmp_path: Path) -> None:
    with pytest.raises(NysformerError, match="max_steps: 0 is below 1"):
        options(max_steps=0)
    with pytest.raises(NysformerError, match="probe_first: question-answering has no head that can be fitted"):
        finetune(options(task="question-answering", probe_first=True))


def test_the_time_limit_counts_the_probe(options: Options) -> None:
    run = finetune(options(probe_first=True, time_limit=1e-6))
    assert (run.steps, run.stopped_by) == (0, "time")
    assert run.metrics["macro_f1"] > 0.8
    now = 0.0
    schedule = Schedule(steps=100, warmup_share=0.5, clock=Clock(now=lambda: now), limit=100.0)
    schedule.clock.start()
    now = schedule.clock.lead = 40.0
    assert schedule.progress(0) == 0.0, "the rate warms up after the probe, too"
    now = 70.0
    assert schedule.progress(0) == 0.5
    now = 100.0
    assert schedule.progress(0) == 1.0
    assert Schedule(steps=0, warmup_share=0.5, clock=Clock()).progress(0) == 1.0
