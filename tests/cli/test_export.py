"""`nysformer export`, as users call it."""

from pathlib import Path

import pytest
from tiny import save_classifier
from typer.testing import CliRunner

from nysformer.checkpoints import export as module
from nysformer.cli import main
from nysformer.errors import NysformerError

RUNNER = CliRunner()


def test_says_what_was_written(tmp_path: Path) -> None:
    model = save_classifier(tmp_path / "model", num_hidden_layers=1)
    result = RUNNER.invoke(main.app, ["export", str(model), str(tmp_path / "out"), "--format", "torch-export"])
    assert result.exit_code == 0, result.output
    first, second = result.output.strip().splitlines()
    assert first == f"{tmp_path / 'out' / 'model.pt2'}: input_ids, attention_mask -> logits"
    assert second.startswith("largest difference to the model at 7, 63, 256 tokens: ")


def test_says_what_was_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = module.Exported(Path("out/model.onnx"), ("input_ids",), ("logits",), None, (7,))
    monkeypatch.setattr(module, "export", lambda *arguments, **options: made)
    result = RUNNER.invoke(main.app, ["export", str(tmp_path), "out"])
    assert "not run: install onnxruntime" in result.output


def test_a_mistake_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(NysformerError, match="no such model folder"):
        RUNNER.invoke(main.app, ["export", str(tmp_path / "no"), str(tmp_path / "out")], catch_exceptions=False)
    help_text = RUNNER.invoke(main.app, ["export", "--help"]).output
    assert "Example: nysformer export runs/demo runs/demo-onnx --format onnx" in help_text
