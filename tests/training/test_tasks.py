"""Every task through the same three steps: fine-tune, evaluate, predict; from rows and from files."""

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas
import pytest
from tiny import LETTERS

import nysformer
from nysformer.errors import NysformerError
from nysformer.models import NystromformerConfig
from nysformer.training.finetune import finetune
from nysformer.training.options import FinetuneOptions

Options = Callable[..., FinetuneOptions]


def words(count: int, seed: int) -> list[str]:
    return random.Random(seed).choices(LETTERS, k=count)


def several(number: int) -> dict[str, Any]:
    label = [name for name, bit in (("a", 1), ("b", 2)) if number & bit]
    return {"text": " ".join(words(8, number) + label), "label": label}


def numbers(number: int) -> dict[str, Any]:
    return {"text": " ".join(words(8, number)), "label": 1900 + 0.5 * number}


def tagged(number: int) -> dict[str, Any]:
    tokens = words(12, number)
    return {"tokens": tokens, "tags": ["B-V" if token in "aeiou" else "O" for token in tokens]}


def spans(number: int) -> dict[str, Any]:
    text = " ".join(words(12, number))
    return {"text": text, "spans": [{"start": 4, "end": 7, "label": "PLACE"}]}


def asked(number: int) -> dict[str, Any]:
    context = " ".join(words(12, number))
    answers = {"text": [context[4:7]], "answer_start": [4]} if number % 3 else {"text": [], "answer_start": []}
    return {"context": context, "question": "a b", "answers": answers}


def chosen(number: int) -> dict[str, Any]:
    return {"context": " ".join(words(12, number)), "choices": ["a b", "c", "d e f"], "label": number % 3}


CASES: dict[str, tuple[str, Callable[[int], dict[str, Any]], str]] = {
    "several labels": ("sequence-classification", several, "micro_f1"),
    "regression": ("sequence-classification", numbers, "rmse"),
    "tags": ("token-classification", tagged, "f1"),
    "spans": ("token-classification", spans, "f1"),
    "questions": ("question-answering", asked, "f1"),
    "choices": ("multiple-choice", chosen, "accuracy"),
}


@pytest.mark.parametrize("case", CASES)
def test_train_evaluate_predict(options: Options, tmp_path: Path, case: str) -> None:
    task, row, first = CASES[case]
    rows = [row(number) for number in range(12)]
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(each) + "\n" for each in rows), encoding="utf-8")
    result = finetune(options(task=task, train=(str(path),), valid=(str(path),), max_steps=2, epochs=None))
    entries = [json.loads(line) for line in (result.output / "history.jsonl").read_text().splitlines()]
    assert f"eval_{first}" in entries[-1]
    assert json.loads((result.output / "run.json").read_bytes())["options"]["best_metric"] == first
    again = nysformer.evaluate(result.output, rows, device="cpu")
    from_file = nysformer.evaluate(result.output, [path], device="cpu")
    assert again[first] == from_file[first] == pytest.approx(result.metrics[first], rel=1e-5)
    assert again["task"] == task
    answers = list(nysformer.load(result.output, device="cpu").predict(pandas.DataFrame(rows)))
    assert len(answers) == 12
    assert all(repr(answer).startswith(type(answer).__name__) for answer in answers)
    card = (result.output / "README.md").read_text(encoding="utf-8")
    assert all(f"| {metric}, validation |" in card for metric in _titles(task, result.output))
    resumed = finetune(
        options(task=task, train=(str(path),), valid=(str(path),), max_steps=3, epochs=None, resume=True)
    )
    assert resumed.steps == 3


def _titles(task: str, folder: Path) -> list[str]:
    return [metric.title for metric in nysformer.load(folder, device="cpu").task.metrics]


def test_a_head_for_the_same_question_is_kept(options: Options, tmp_path: Path) -> None:
    for case in ("tags", "questions", "regression"):
        task, row, first = CASES[case]
        path = tmp_path / f"{case}.jsonl"
        path.write_text("".join(json.dumps(row(number)) + "\n" for number in range(12)), encoding="utf-8")
        data = {"task": task, "train": (str(path),), "valid": (str(path),), "epochs": None}
        once = finetune(options(**data, max_steps=2, output=str(tmp_path / f"{case} once")))
        more = {"model": str(once.output), "max_steps": 1, "learning_rate": 1e-12}
        twice = finetune(options(**data, **more, output=str(tmp_path / f"{case} twice")))
        assert twice.metrics[first] == pytest.approx(once.metrics[first], rel=1e-4), case


def test_a_regression_begins_at_the_mean_of_its_labels(options: Options, tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(numbers(number)) + "\n" for number in range(12)), encoding="utf-8")
    result = finetune(options(train=(str(path),), valid=(str(path),), max_steps=1, learning_rate=1e-12, epochs=None))
    spread = 0.5 * (143 / 12) ** 0.5
    assert result.metrics["rmse"] < 2 * spread
    (answer,) = nysformer.load(result.output, device="cpu").predict("a b c")
    assert abs(answer.value - 1902.75) < 2 * spread


def test_a_model_reads_as_it_was_trained_to(options: Options, documents: tuple[Path, Path]) -> None:
    result = finetune(options(max_steps=1, epochs=None, reading="windows", max_length=32, overlap=0.5))
    config = NystromformerConfig.from_pretrained(result.output)
    assert config.reading == {"strategy": "windows", "overlap": 0.5, "max_length": 32}
    predictor = nysformer.load(result.output, device="cpu")
    assert (predictor.reading.strategy, predictor.reading.overlap, predictor.max_length) == ("windows", 0.5, 32)
    assert result.truncated == {"train": 0, "valid": 0}
    assert result.tokens > 60
    assert nysformer.evaluate(result.output, documents[1], device="cpu")["loss"] == pytest.approx(
        result.metrics["loss"], rel=1e-5
    )
    head = nysformer.load(result.output, reading="head", device="cpu")
    assert (head.reading.strategy, head.max_length) == ("head", 32)
    whole = nysformer.load(result.output, reading="whole", device="cpu")
    assert (whole.reading.strategy, whole.max_length) == ("whole", 256)


def test_labels_of_two_kinds_and_metrics_of_another_task_are_refused(options: Options, tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps(several(3)) + "\n" + json.dumps({"text": "a", "label": "b"}) + "\n", encoding="utf-8")
    with pytest.raises(NysformerError, match=r"labels of different kinds, at .*rows\.jsonl:1 and .*rows\.jsonl:2"):
        finetune(options(train=(str(path),), valid=(str(path),)))
    with pytest.raises(NysformerError, match="no column 'question'"):
        finetune(options(task="question-answering", train=(str(path),), valid=(str(path),)))
    path.write_text(json.dumps(asked(1)) + "\n" + json.dumps(asked(2)) + "\n", encoding="utf-8")
    weighed = options(task="question-answering", train=(str(path),), valid=(str(path),), class_weights="balanced")
    with pytest.raises(NysformerError, match="class_weights: question-answering has no classes to weigh"):
        finetune(weighed)
    assert not Path(weighed.output).exists()
