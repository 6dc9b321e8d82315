"""What `import nysformer` offers."""

import json
from pathlib import Path

import datasets
import pandas
import pytest
from tiny import save_classifier

import nysformer


def test_every_public_name_is_there() -> None:
    for name in nysformer.__all__:
        assert getattr(nysformer, name) is not None
    assert set(nysformer.__all__) <= set(dir(nysformer))
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        nysformer.nonsense  # noqa: B018


def test_three_lines_from_a_folder_to_a_label(tmp_path: Path) -> None:
    predictor = nysformer.load(save_classifier(tmp_path / "model"), max_length=32)
    (answer,) = predictor.predict("a b c")
    assert isinstance(answer, nysformer.Prediction)
    assert answer.label in ("ham", "spam", "eggs")
    assert predictor.max_length == 32


def test_finetune_and_evaluate_from_python(tmp_path: Path) -> None:
    data = tmp_path / "data.jsonl"
    data.write_text('{"text": "a b", "label": "ham"}\n{"text": "x y", "label": "spam"}\n' * 4, encoding="utf-8")
    options = nysformer.FinetuneOptions(
        model=str(save_classifier(tmp_path / "model")),
        train=(str(data),),
        valid=(str(data),),
        output=str(tmp_path / "run"),
        max_steps=1,
    )
    result = nysformer.finetune(options)
    assert nysformer.evaluate(result.output, [data])["documents"] == 8


def test_finetune_and_evaluate_rows_in_memory(tmp_path: Path) -> None:
    rows = [{"body": "a b", "label": "ham"}, {"body": "x y", "label": "spam"}] * 4
    for number, data in enumerate((rows, pandas.DataFrame(rows), datasets.Dataset.from_list(rows))):
        result = nysformer.finetune(
            model=save_classifier(tmp_path / "model"),
            train=data,
            valid_share=0.25,
            text_column="body",
            output=tmp_path / f"run {number}",
            max_steps=1,
        )
        assert (
            json.loads((result.output / "run.json").read_bytes())["options"]["train"] == f"rows: {type(data).__name__}"
        )
        assert nysformer.evaluate(result.output, data, text_column="body")["documents"] == 8
        answers = list(nysformer.load(result.output).predict(data, nysformer.ReadOptions(text_column="body")))
        assert [answer.line for answer in answers] == list(range(1, 9))


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> object:
        raise ModuleNotFoundError("No module named 'datasets'", name="datasets")

    monkeypatch.setattr(nysformer, "import_module", absent)
    with pytest.raises(ImportError, match=r"nysformer\.evaluate needs datasets: pip install 'nysformer\[train\]'"):
        nysformer.evaluate  # noqa: B018
