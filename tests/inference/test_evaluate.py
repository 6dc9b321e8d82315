import json
from collections.abc import Callable
from pathlib import Path

import datasets
import pytest

from nysformer.data.reading import ReadOptions
from nysformer.errors import NysformerError
from nysformer.inference.evaluate import compare_readings, evaluate
from nysformer.inference.predict import Predictor
from nysformer.tasks.reading import STRATEGIES


@pytest.fixture(autouse=True)
def datasets_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")


def labelled(path: Path, rows: list[tuple[str, str]]) -> Path:
    path.write_text("".join(json.dumps({"text": text, "label": label}) + "\n" for text, label in rows))
    return path


def test_measures_what_predict_answers(classifier: Path, tmp_path: Path) -> None:
    predictor = Predictor.from_pretrained(classifier, device="cpu")
    documents = [" ".join("abcxyz"[(i + j) % 6] for j in range(1 + 29 * i)) for i in range(12)]
    answers = [answer.label for answer in predictor.predict(documents)]
    wrong = {"ham": "spam", "spam": "eggs", "eggs": "ham"}
    labels = [wrong[label] if i % 4 == 0 else label for i, label in enumerate(answers)]
    path = labelled(tmp_path / "test.jsonl", list(zip(documents, labels, strict=True)))
    seen: list[tuple[int, int]] = []
    metrics = evaluate(classifier, [path], device="cpu", on_progress=lambda done, total: seen.append((done, total)))
    assert metrics["accuracy"] == pytest.approx(9 / 12)
    assert metrics["documents"] == 12
    assert metrics["max_length"] == 256
    assert metrics["truncated"] == sum(1 + 29 * i + 2 > 256 for i in range(12)) > 0
    assert metrics["sources"] == [str(path)]
    assert list(metrics["per_class"]) == ["ham", "spam", "eggs"]
    assert seen == [(done, 12) for done in range(1, 13)]
    assert json.loads(json.dumps(metrics)) == metrics


def test_cut_shorter_and_other_columns(classifier: Path, tmp_path: Path) -> None:
    path = tmp_path / "test.csv"
    path.write_text("body,kind\na b c d e f g h,ham\na,eggs\n")
    metrics = evaluate(classifier, [path], text_column="body", label_column="kind", max_length=6, device="cpu")
    assert (metrics["truncated"], metrics["max_length"]) == (1, 6)
    assert metrics["by_length"][0]["documents"] == 2


def test_labels_the_model_does_not_know(classifier: Path, tmp_path: Path) -> None:
    path = labelled(tmp_path / "test.jsonl", [("a", "ham"), ("b", "bacon")])
    with pytest.raises(NysformerError, match="'bacon'") as caught:
        evaluate(classifier, [path], device="cpu")
    assert f"{path}:2" in str(caught.value)
    assert "ham, spam, eggs" in str(caught.value)


def test_a_document_without_tokens(classifier: Path, tmp_path: Path) -> None:
    path = labelled(tmp_path / "test.jsonl", [("a", "ham"), ("\u200b", "ham")])
    with pytest.raises(NysformerError, match=r"test\.jsonl:2: the tokenizer finds no token"):
        evaluate(classifier, [path], device="cpu")


def test_several_labels_and_numbers(make_classifier: Callable[..., Path]) -> None:
    several = make_classifier(problem_type="multi_label_classification")
    metrics = evaluate(several, [{"text": "a b", "label": ["ham", "eggs"]}, {"text": "c", "label": []}], device="cpu")
    assert {"micro_f1", "macro_f1", "average_precision", "per_class", "by_length"} <= metrics.keys()
    number = make_classifier(labels=["score"])
    metrics = evaluate(number, [{"text": "a b", "label": 0.5}, {"text": "c", "label": 3}], device="cpu")
    assert {"rmse", "mae", "spearman", "by_length"} <= metrics.keys()
    assert metrics["sources"] == ["list"]
    with pytest.raises(NysformerError, match=r"document:1: the label 'high' is not a number"):
        evaluate(number, [{"text": "a", "label": "high"}], device="cpu")


def test_settings_stand_in_one_place(classifier: Path) -> None:
    rows = [{"body": "a b", "label": "ham"}]
    predictor = Predictor.from_pretrained(classifier, device="cpu")
    assert evaluate(predictor, rows, text_column="body") == evaluate(
        predictor, rows, read=ReadOptions(text_column="body")
    )
    with pytest.raises(NysformerError, match="read: text_column stand beside it"):
        evaluate(predictor, rows, read=ReadOptions(), text_column="body")
    with pytest.raises(NysformerError, match="max_length: the predictor is loaded already"):
        evaluate(predictor, rows, max_length=9)


def test_readings_side_by_side(classifier: Path) -> None:
    predictor = Predictor.from_pretrained(classifier, device="cpu", max_length=8)
    rows = [{"text": "a b c d e f g h i j k l", "label": "ham"}, {"text": "x y", "label": "spam"}]
    seen: list[tuple[int, int]] = []
    found = compare_readings(predictor, rows, on_progress=lambda done, total: seen.append((done, total)))
    assert list(found) == list(STRATEGIES)
    assert [row["truncated"] for row in found.values()] == [1, 1, 1, 1, 0, 1]
    assert all(row["documents_per_second"] > 0 for row in found.values())
    assert found["windows"]["loss"] != found["head"]["loss"] == found["whole"]["loss"]
    assert seen[-1] == (12, 12)
